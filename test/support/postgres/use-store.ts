import { afterAll, beforeAll } from "vitest";
import { type OpenStore, openStore } from "./open-store.ts";
import { type TestDatabase, createTestDatabase } from "./test-database.ts";

/** Gives a test file a migrated database of its own, with an open store. */
export function useStore(
  limits?: Parameters<typeof openStore>[1],
): Omit<OpenStore, "close"> & { readonly url: string } {
  let database: TestDatabase;
  let opened: OpenStore;
  beforeAll(async () => {
    database = await createTestDatabase();
    opened = openStore(database.url, limits);
  });
  afterAll(async () => {
    await opened.close();
    await database.drop();
  });
  return {
    get url() {
      return database.url;
    },
    get store() {
      return opened.store;
    },
    get db() {
      return opened.db;
    },
    statementsOf: (call) => opened.statementsOf(call),
    get connectionErrors() {
      return opened.connectionErrors;
    },
    get lostAccesses() {
      return opened.lostAccesses;
    },
  };
}
