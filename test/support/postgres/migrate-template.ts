import { migrateToLatest } from "../../../src/storage/schema/migrate.ts";
import { openDatabase } from "../../../src/storage/connection/database.ts";

/**
 * Brings the template database, and so every test database, to the newest schema.
 * Must leave no connection open: PostgreSQL copies no database that is in use.
 */
export async function migrateTemplate(url: string): Promise<void> {
  const db = openDatabase({
    url,
    maxConnections: 1,
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 30_000,
    onConnectionError: (error) => {
      throw error;
    },
  });
  try {
    await migrateToLatest(db);
  } finally {
    await db.destroy();
  }
}
