import { Client } from "pg";
import { afterAll } from "vitest";

/** A connection to a database for the tests of a file. Call it at the top level. */
export async function connectedClient(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  afterAll(() => client.end());
  return client;
}

/** Does `work` while a transaction holds the locks of `statement`. */
export async function holding<T>(client: Client, statement: string, work: () => Promise<T>): Promise<T> {
  await client.query("begin");
  await client.query(statement);
  try {
    return await work();
  } finally {
    await client.query("rollback");
  }
}

/** Number of statements of services that wait for a lock. Not for a client in a transaction, which would see no change. */
export async function lockWaits(client: Client): Promise<number> {
  const { rowCount } = await client.query(
    `select from pg_stat_activity where datname = current_database() and application_name = 'sessiond'
       and state = 'active' and wait_event_type = 'Lock'`,
  );
  return rowCount ?? 0;
}
