import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import type { TestProject } from "vitest/node";
import { startEmbeddedPostgres } from "../../../src/embedded-postgres/supervisor.ts";
import { openDatabase } from "../../../src/storage/connection/database.ts";
import { migrateToLatest } from "../../../src/storage/schema/migrate.ts";

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
  const directory = await mkdtemp(join(tmpdir(), "sessiond-test-"));
  const postgres = await startEmbeddedPostgres({ directory, durable: false, maxConnections: 300 });
  const end = async () => {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const client = new Client({ connectionString: postgres.url });
    await client.connect();
    await client.query(`create database ${templateName}`);
    await client.end();
    await migrateTemplate(databaseUrl(postgres.url, templateName));
  } catch (error) {
    await end();
    throw error;
  }
  project.provide("postgresUrl", postgres.url);
  return end;
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

/** URL of another database of the same cluster. */
export function databaseUrl(clusterUrl: string, database: string): string {
  const url = new URL(clusterUrl);
  url.pathname = `/${database}`;
  return url.href;
}
