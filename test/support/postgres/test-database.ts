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

/** Runs statements on the cluster while no client is connected to a database. They may copy, rename or drop it. */
async function withoutClients(url: string, ...statements: readonly string[]): Promise<void> {
  const clusterUrl = databaseUrl(url, "postgres");
  const name = nameOf(url);
  await runSql(clusterUrl, `alter database ${name} with allow_connections false`);
  try {
    await runSql(
      clusterUrl,
      "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = $1",
      name,
    );
    for (const statement of statements) await runSql(clusterUrl, statement);
  } finally {
    await runSql(clusterUrl, `alter database ${name} with allow_connections true`);
  }
}

/** Copies a database under running services, as of now, and returns the URL of the copy. */
export async function backUp(url: string): Promise<string> {
  const name = nameOf(url);
  await withoutClients(url, `create database ${name}_backup template ${name}`);
  return databaseUrl(url, `${name}_backup`);
}

/** Replaces a database under running services with its backup. */
export async function restore(url: string): Promise<void> {
  const name = nameOf(url);
  await withoutClients(
    url,
    `alter database ${name} rename to ${name}_lost`,
    `alter database ${name}_backup rename to ${name}`,
  );
  await runSql(databaseUrl(url, "postgres"), `drop database ${name}_lost with (force)`);
}

function nameOf(url: string): string {
  return new URL(url).pathname.slice(1);
}
