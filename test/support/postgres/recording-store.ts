import type { CompiledQuery, Kysely } from "kysely";
import { openDatabase } from "../../../src/storage/connection/database.ts";
import { type PostgresStore, postgresStore } from "../../../src/storage/postgres-store.ts";
import type { Tables } from "../../../src/storage/schema/tables.ts";

/** A store that records its statements. */
export interface RecordingStore {
  readonly store: PostgresStore;
  readonly db: Kysely<Tables>;
  /** The statements that `call` ran, in the order in which they ended. */
  statementsOf(call: () => Promise<unknown>): Promise<readonly CompiledQuery[]>;
  close(): Promise<void>;
}

/** Opens one on a migrated database. */
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
