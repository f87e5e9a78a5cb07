import { databaseUrl, runSql } from "./sql.ts";

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
