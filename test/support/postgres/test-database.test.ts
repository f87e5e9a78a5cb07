import { Client } from "pg";
import { expect, test } from "vitest";
import { databaseOfTest } from "./test-database.ts";

async function connect(): Promise<Client> {
  const client = new Client({ connectionString: await databaseOfTest() });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

test("databases are separate, and can be dropped while in use", async () => {
  const [one, other] = await Promise.all([connect(), connect()]);
  await one.query("create table only_here ()");
  await expect(other.query("select from only_here")).rejects.toThrow("does not exist");
});
