import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { inject } from "vitest";
import { databaseUrl } from "./database-url.ts";
import { templateName } from "./postgres-setup.ts";

/** An empty database with the newest schema. */
export interface TestDatabase {
  readonly url: string;
  /** Removes it, ending connections that are still open. */
  drop(): Promise<void>;
}

/** Creates a database for one test file, so that files do not see each other's rows. For `beforeAll`. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const clusterUrl = inject("postgresUrl");
  const name = `test_${randomBytes(8).toString("hex")}`;
  await execute(clusterUrl, `create database ${name} template ${templateName}`);
  return {
    url: databaseUrl(clusterUrl, name),
    drop: () => execute(clusterUrl, `drop database ${name} with (force)`),
  };
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
