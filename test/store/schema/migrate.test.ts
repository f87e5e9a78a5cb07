import { sql } from "kysely";
import { expect, onTestFinished, test } from "vitest";
import { migrateToLatest } from "../../../src/storage/schema/migrate.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { storedProject } from "../../support/fixtures/stored.ts";
import { createTestDatabase } from "../../support/postgres/test-database.ts";
import { useStore } from "../../support/postgres/use-store.ts";

const opened = useStore();

test("concurrent migrations of an empty database apply each migration once", async () => {
  const database = await createTestDatabase("template0");
  onTestFinished(() => database.drop());
  const replicas = Array.from({ length: 4 }, () => openStore(database.url));
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

test("rejects a schema that is newer than the code, and says which version to start", async () => {
  expect(await migrateToLatest(opened.db)).toEqual([]);
  const future = sql`insert into schema_migrations (name, timestamp) values ('0999_future', '2030-01-01')`;
  await future.execute(opened.db);
  await expect(migrateToLatest(opened.db)).rejects.toThrow(
    /schema is newer than this version of sessiond: it has migration 0999_future\. Start/,
  );
});
