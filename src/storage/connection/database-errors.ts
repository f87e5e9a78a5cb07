import { DatabaseError } from "pg";
import { SessiondError } from "../../domain/errors.ts";

/** The database cannot be used, and the message says why. Callers see DATABASE_UNAVAILABLE. */
export class DatabaseFailure extends Error {
  override readonly name = "DatabaseFailure";
}

/** A pooler gave a prepared statement to a server connection that does not have it. Nothing has run; it is not prepared again. */
export class PreparedStatementLost extends DatabaseFailure {
  constructor(cause: Error) {
    super("a pooler lost a prepared statement", { cause });
  }
}

/** Runs a database operation; failures that show that the database is not available become DATABASE_UNAVAILABLE. */
export async function withDatabaseErrors<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw translated(error);
  }
}

/** DATABASE_UNAVAILABLE for an error that shows that the database is not available; other errors unchanged. */
export function translated(error: unknown): unknown {
  return isUnavailable(error) ? new SessiondError("DATABASE_UNAVAILABLE", { cause: error }) : error;
}

/**
 * SQLSTATE classes and codes of failures that pass or leave the outcome unknown: connection exceptions, a missing login or
 * database, insufficient resources, a lock that was not free in time, operator intervention (shutdown, cancelled statement),
 * system errors, read-only after a failover, timeouts in a transaction, and rollbacks that the client did not cause.
 */
const passing = /^(08|28|3D|53|55P03|57|58|25006|25P0[34]|40001|40003|40P01)/;

/** Messages of pg, which has no codes for them, if a connection broke or could not be opened in time. */
const brokenConnection =
  /^(Connection terminated|timeout expired|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after)/;

function isUnavailable(error: unknown): boolean {
  if (error instanceof DatabaseError) return passing.test(error.code ?? "");
  if (!(error instanceof Error)) return false;
  // System errors of sockets and name look-ups; an AggregateError if a host has several addresses.
  return (
    error instanceof DatabaseFailure ||
    "syscall" in error ||
    error instanceof AggregateError ||
    isTlsError(error) ||
    brokenConnection.test(error.message)
  );
}

/** Whether nothing has happened, through no fault of the client, so that it may try again: serialization failure, deadlock. */
export function isRepeatable(error: unknown): boolean {
  if (error instanceof PreparedStatementLost) return true;
  return error instanceof DatabaseError && (error.code === "40001" || error.code === "40P01");
}

/**
 * Whether the database ended the connection with this answer: connection exceptions, shutdown, timeouts in a transaction. Or
 * whether the server has become a standby (25006), so that the connection must not be used again.
 */
export function endsConnection(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && /^(08|57P|25006|25P0[34])/.test(error.code ?? "");
}

/** Whether an error says nothing about the host: the server closed this one connection because it was idle for too long. */
export function isIdleTimeout(error: Error): boolean {
  return error instanceof DatabaseError && /^(57P05|25P0[34])/.test(error.code ?? "");
}

/** Whether no connection of the pool became free in time. */
export function isPoolExhausted(error: unknown): boolean {
  return error instanceof Error && error.message === "timeout exceeded when trying to connect";
}

/** Explains why a connection could not be opened. */
export function explainedConnectError(error: unknown): unknown {
  if (error instanceof DatabaseFailure || isPoolExhausted(error)) return error;
  return new DatabaseFailure(connectErrorText(error), { cause: error });
}

function connectErrorText(error: unknown): string {
  if (error instanceof DatabaseError) {
    if (error.code?.startsWith("28")) return "the database refuses the user or the password of DATABASE_URL";
    if (error.code === "3D000") return "the server has no database of the name in DATABASE_URL";
  }
  if (error instanceof Error && isTlsError(error)) return "TLS towards the database failed";
  return "the database does not answer";
}

/** Errors of Node's TLS, of the verification of certificates, and of pg if the server does not speak TLS. */
function isTlsError(error: Error): boolean {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return (
    /^ERR_(TLS|SSL|OSSL)|^EPROTO$|CERT|SIGNATURE|HOSTNAME_MISMATCH/.test(code) ||
    /\bSSL\b/.test(error.message)
  );
}
