import { afterAll, beforeAll } from "vitest";
import { type OpenStore, openStore } from "../../support/postgres/open-store.ts";
import { type TestDatabase, createTestDatabase } from "../../support/postgres/test-database.ts";
import { storeContract } from "./store-contract.ts";

let database: TestDatabase;
let one: OpenStore;
let other: OpenStore;

beforeAll(async () => {
  database = await createTestDatabase();
  one = openStore(database.url);
  other = openStore(database.url);
});

afterAll(async () => {
  await Promise.all([one.close(), other.close()]);
  await database.drop();
});

storeContract("Postgres", { one: () => one.store, other: () => other.store });
