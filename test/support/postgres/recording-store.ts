import { type CompiledQuery, Kysely } from "kysely";
import type { Store } from "../../../src/domain/store.ts";
import { databaseDialect } from "../../../src/storage/connection/database.ts";
import { postgresStore } from "../../../src/storage/postgres-store.ts";
import type { Tables } from "../../../src/storage/schema/tables.ts";

/** A store that keeps what it asks of the database. */
export interface RecordingStore {
  readonly store: Store;
  readonly db: Kysely<Tables>;
  /** The statements that `call` ran, in the order in which they ended. */
  statementsOf(call: () => Promise<unknown>): Promise<readonly CompiledQuery[]>;
  close(): Promise<void>;
}

/** Opens one on a migrated database. */
export function recordingStore(url: string): RecordingStore {
  let statements: CompiledQuery[] = [];
  const dialect = databaseDialect({
    url,
    maxConnections: 4,
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 20_000,
    onConnectionError: () => undefined,
  });
  const db = new Kysely<Tables>({ dialect, log: ({ query }) => void statements.push(query) });
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
