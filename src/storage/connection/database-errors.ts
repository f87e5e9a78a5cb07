import { DatabaseError } from "pg";
import { SessiondError } from "../../domain/errors.ts";
import { readOnly, silent } from "./database.ts";
import { unconfirmedCommit } from "./pooled-connections.ts";

/**
 * SQLSTATE classes and codes that say "not now" rather than "never": connection exceptions, a login or a database that is not
 * there, insufficient resources, operator intervention (shutdown, cancelled statement), read-only after a failover,
 * serialization failure and deadlock.
 */
const passing = /^(08|28|3D|53|57|25006|40001|40P01)/;

/** What pg says, without a code, of a connection that broke or could not be had in time. */
const brokenConnection =
  /^(Connection terminated|timeout expired|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after)/;

/** Runs a database operation; what shows that the database is not there becomes DATABASE_UNAVAILABLE, with its cause. */
export async function translatingFailures<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw isUnavailable(error) ? new SessiondError("DATABASE_UNAVAILABLE", { cause: error }) : error;
  }
}

function isUnavailable(error: unknown): boolean {
  if (error instanceof DatabaseError) return passing.test(error.code ?? "");
  if (!(error instanceof Error)) return false;
  // System errors of sockets and name look-ups; several of them at once when a host has several addresses.
  return (
    "syscall" in error ||
    error instanceof AggregateError ||
    error.message === silent ||
    error.message === readOnly ||
    error.message === unconfirmedCommit ||
    brokenConnection.test(error.message)
  );
}
