import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import type { TestProject } from "vitest/node";
import { startEmbeddedPostgres } from "../../../src/embedded-postgres/supervisor.ts";
import { databaseUrl } from "./database-url.ts";
import { migrateTemplate } from "./migrate-template.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Of the test cluster; `createTestDatabase` is how tests use it. */
    postgresUrl: string;
  }
}

/** The database that every test database is a copy of. */
export const templateName = "template_sessiond";

/** Starts one PostgreSQL for all test files, with a migrated template database; returns what ends it. */
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
