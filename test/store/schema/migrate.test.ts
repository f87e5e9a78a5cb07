import { sql } from "kysely";
import { Client } from "pg";
import { expect, inject, onTestFinished, test } from "vitest";
import { migrateToLatest } from "../../../src/storage/schema/migrate.ts";
import { databaseUrl } from "../../support/postgres/sql.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { storedProject } from "../../support/fixtures/stored.ts";
import { createTestDatabase } from "../../support/postgres/test-database.ts";

async function execute(statement: string): Promise<void> {
  const client = new Client({ connectionString: inject("postgresUrl") });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

test("concurrent migrations of an empty database apply each migration once", async () => {
  const name = `empty_${process.pid}`;
  await execute(`create database ${name} template template0`);
  onTestFinished(() => execute(`drop database ${name} with (force)`));
  const url = databaseUrl(inject("postgresUrl"), name);
  const replicas = Array.from({ length: 4 }, () => openStore(url));
  try {
    const applied = await Promise.all(replicas.map(({ db }) => migrateToLatest(db)));
    expect(applied.flat()).toEqual([
      "0001_initial",
      "0002_watch_revocations",
      "0003_signing_key_lifecycle",
      "0004_cheap_writes",
      "0005_certificate_names",
      "0006_purge",
      "0007_token_rotation",
    ]);
    for (const { store } of replicas) await storedProject(store);
  } finally {
    await Promise.all(replicas.map((replica) => replica.close()));
  }
});

test("rejects a schema that is newer than the code, and says how to mend it", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.drop());
  const opened = openStore(database.url);
  const { db } = opened;
  try {
    expect(await migrateToLatest(db)).toEqual([]);
    await sql`insert into schema_migrations (name, timestamp) values ('0999_future', '2030-01-01')`.execute(
      db,
    );
    await expect(migrateToLatest(db)).rejects.toThrow(
      /schema is newer than this version of sessiond: it has migration 0999_future\. Start/,
    );
  } finally {
    await opened.close();
  }
});
