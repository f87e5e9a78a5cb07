import type { CompiledQuery } from "kysely";
import {
  type Database,
  type DatabaseOptions,
  openDatabase,
} from "../../../src/storage/connection/database.ts";
import { type PostgresStore, postgresStore } from "../../../src/storage/postgres-store.ts";

/** A store with its own connection pool, like a replica. */
export interface OpenStore {
  readonly store: PostgresStore;
  readonly db: Database;
  readonly connectionErrors: readonly Error[];
  readonly lostAccesses: readonly unknown[];
  /** Runs `call` and returns the statements that ended meanwhile, in that order. */
  statementsOf(call: () => Promise<unknown>): Promise<readonly CompiledQuery[]>;
  readonly close: () => Promise<void>;
}

export function openStore(
  url: DatabaseOptions["url"],
  limits: Partial<Omit<DatabaseOptions, "url" | "onConnectionError">> & { maxWaiting?: number } = {},
): OpenStore {
  const connectionErrors: Error[] = [];
  const lostAccesses: unknown[] = [];
  let statements: CompiledQuery[] | undefined;
  const options = {
    url,
    maxConnections: 5,
    connectTimeoutMs: 20_000,
    statementTimeoutMs: 20_000,
    ...limits,
    onConnectionError: (error: Error) => connectionErrors.push(error),
  };
  const db = openDatabase(options, ({ query }) => void statements?.push(query));
  const onLostAccess = (error: unknown) => lostAccesses.push(error);
  const store = postgresStore(db, { onLostAccess, maxWaiting: limits.maxWaiting });
  const statementsOf = async (call: () => Promise<unknown>) => {
    const ended: CompiledQuery[] = [];
    statements = ended;
    await call();
    statements = undefined;
    return ended;
  };
  return { store, db, connectionErrors, lostAccesses, statementsOf, close: () => db.destroy() };
}
