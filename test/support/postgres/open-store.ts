import type { Kysely } from "kysely";
import { type PostgresStore, postgresStore } from "../../../src/storage/postgres-store.ts";
import { openDatabase } from "../../../src/storage/connection/database.ts";
import type { Tables } from "../../../src/storage/schema/tables.ts";

/** A store with a pool of its own, as each replica has one. */
export interface OpenStore {
  readonly store: PostgresStore;
  readonly db: Kysely<Tables>;
  /** What `onConnectionError` was told. */
  readonly connectionErrors: readonly Error[];
  /** What `onLostAccess` was told. */
  readonly lostAccesses: readonly unknown[];
  close(): Promise<void>;
}

/** Opens a store on a migrated database. */
export function openStore(
  url: string,
  limits: {
    maxConnections?: number;
    connectTimeoutMs?: number;
    statementTimeoutMs?: number;
    preparedStatements?: boolean;
    maxWaiting?: number;
  } = {},
): OpenStore {
  const connectionErrors: Error[] = [];
  const lostAccesses: unknown[] = [];
  const db = openDatabase({
    url,
    maxConnections: 5,
    connectTimeoutMs: 20_000,
    statementTimeoutMs: 20_000,
    ...limits,
    onConnectionError: (error) => connectionErrors.push(error),
  });
  const onLostAccess = (error: unknown) => lostAccesses.push(error);
  const store = postgresStore(db, { onLostAccess, notify: true, maxWaiting: limits.maxWaiting });
  return { store, db, connectionErrors, lostAccesses, close: () => db.destroy() };
}
