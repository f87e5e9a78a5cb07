import { Client, type QueryResultRow } from "pg";

/** URL of another database of the same cluster. */
export function databaseUrl(clusterUrl: string, database: string): string {
  const url = new URL(clusterUrl);
  url.pathname = `/${database}`;
  return url.href;
}

/** Runs a statement on its own connection. */
export async function runSql<Row extends QueryResultRow>(
  url: string,
  statement: string,
  ...values: readonly unknown[]
): Promise<readonly Row[]> {
  const client = new Client({ connectionString: url });
  // Without a listener, a server that crashes would end this process.
  client.on("error", () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<Row>(statement, [...values]);
    return rows;
  } finally {
    await client.end();
  }
}
