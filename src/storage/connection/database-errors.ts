import { DatabaseError } from "pg";
import { SessiondError } from "../../domain/errors.ts";
import { readOnly, silent } from "./database.ts";
import { unconfirmedCommit } from "./postgres-driver.ts";

/**
 * SQLSTATE classes and codes of failures that pass: connection exceptions, a missing login or database, insufficient
 * resources, operator intervention (shutdown, cancelled statement), read-only after a failover, serialization failure and
 * deadlock.
 */
const passing = /^(08|28|3D|53|57|25006|40001|40P01)/;

/** Messages of pg, which has no codes for them, if a connection broke or could not be opened in time. */
const brokenConnection =
  /^(Connection terminated|timeout expired|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after)/;

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

function isUnavailable(error: unknown): boolean {
  if (error instanceof DatabaseError) return passing.test(error.code ?? "");
  if (!(error instanceof Error)) return false;
  // System errors of sockets and name look-ups; an AggregateError if a host has several addresses.
  return (
    "syscall" in error ||
    error instanceof AggregateError ||
    error.message === silent ||
    error.message === readOnly ||
    error.message === unconfirmedCommit ||
    brokenConnection.test(error.message)
  );
}
