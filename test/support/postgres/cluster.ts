import type { TestProject } from "vitest/node";
import { openDatabase } from "../../../src/storage/connection/database.ts";
import { migrateToLatest } from "../../../src/storage/schema/migrate.ts";
import { databaseUrl, runSql } from "./sql.ts";
import { temporaryPostgres } from "./temporary-postgres.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** URL of the test cluster. Tests use `createTestDatabase`. */
    postgresUrl: string;
  }
}

/** Name of the migrated database that every test database is copied from. */
export const templateName = "template_sessiond";

/** Vitest's `globalSetup`: starts one PostgreSQL for all test files and migrates the template. Returns its teardown. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await temporaryPostgres({ durable: false, maxConnections: 300 });
  try {
    // Its snapshots would keep dead rows alive while a test counts cheap updates.
    await runSql(postgres.url, "alter system set autovacuum = off");
    await runSql(postgres.url, "select pg_reload_conf()");
    await runSql(postgres.url, `create database ${templateName}`);
    await migrateTemplate(databaseUrl(postgres.url, templateName));
  } catch (error) {
    await postgres.stop();
    throw error;
  }
  project.provide("postgresUrl", postgres.url);
  return () => postgres.stop();
}

/** Migrates a database. Closes its connection, because PostgreSQL copies no database that is in use. */
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
