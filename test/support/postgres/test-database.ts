import { randomBytes } from "node:crypto";
import { inject, onTestFinished } from "vitest";
import { templateName } from "./cluster.ts";
import { databaseUrl, runSql } from "./sql.ts";
import { recordSecret } from "../output/output.ts";

/** An empty database. */
export interface TestDatabase {
  readonly url: string;
  /** Drops the database and closes its connections. */
  readonly drop: () => Promise<void>;
}

/** Creates a database for a test file, by default a migrated one. For `beforeAll`. */
export async function createTestDatabase(template = templateName): Promise<TestDatabase> {
  const clusterUrl = inject("postgresUrl");
  recordSecret({ kind: "the password of the database", text: new URL(clusterUrl).password });
  const name = `test_${randomBytes(8).toString("hex")}`;
  await runSql(clusterUrl, `create database ${name} template ${template}`);
  return {
    url: databaseUrl(clusterUrl, name),
    drop: async () => {
      if (template === templateName) await keepHashes(databaseUrl(clusterUrl, name));
      await runSql(clusterUrl, `drop database ${name} with (force)`);
    },
  };
}

/** Creates a database that is dropped after the test. Returns its URL. */
export async function databaseOfTest(template?: string): Promise<string> {
  const { url, drop } = await createTestDatabase(template);
  onTestFinished(drop);
  return url;
}

async function keepHashes(url: string): Promise<void> {
  const rows = await runSql<{ kind: string; sha256: string }>(
    url,
    `select 'a session token' as kind, encode(hash, 'hex') as sha256 from session_tokens
      union all select 'a service secret', encode(secret_hash, 'hex') from service_credentials`,
  );
  for (const row of rows) recordSecret(row);
}
