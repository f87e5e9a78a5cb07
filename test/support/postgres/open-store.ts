import type { CompiledQuery, Kysely } from "kysely";
import { openDatabase } from "../../../src/storage/connection/database.ts";
import { type PostgresStore, postgresStore } from "../../../src/storage/postgres-store.ts";
import type { Tables } from "../../../src/storage/schema/tables.ts";

/** A store with its own connection pool, like a replica. */
export interface OpenStore {
  readonly store: PostgresStore;
  readonly db: Kysely<Tables>;
  readonly connectionErrors: readonly Error[];
  readonly lostAccesses: readonly unknown[];
  close(): Promise<void>;
}

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

export interface RecordingStore {
  readonly store: PostgresStore;
  readonly db: Kysely<Tables>;
  /** Runs `call` and returns its statements, in the order in which they ended. */
  statementsOf(call: () => Promise<unknown>): Promise<readonly CompiledQuery[]>;
  close(): Promise<void>;
}

export function recordingStore(url: string): RecordingStore {
  let statements: CompiledQuery[] = [];
  const options = {
    url,
    maxConnections: 4,
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 20_000,
    onConnectionError: () => undefined,
  };
  const db = openDatabase(options, ({ query }) => void statements.push(query));
  return {
    db,
    store: postgresStore(db, { onLostAccess: () => undefined, notify: true }),
    statementsOf: async (call) => {
      statements = [];
      await call();
      return statements;
    },
    close: () => db.destroy(),
  };
}
