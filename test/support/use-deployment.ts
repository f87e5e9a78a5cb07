import { afterAll, beforeAll, beforeEach } from "vitest";
import { type Deployment, openDeployment } from "./deployment.ts";
import { type TestDatabase, createTestDatabase } from "./test-database.ts";

/** Gives a test file a deployment of its own, its clock at the start before each test. */
export function useDeployment(): () => Deployment {
  let database: TestDatabase;
  let deployment: Deployment;
  beforeAll(async () => {
    database = await createTestDatabase();
    deployment = openDeployment(database.url);
  });
  beforeEach(() => deployment.setClock(0));
  afterAll(async () => {
    await deployment.opened.close();
    await database.drop();
  });
  return () => deployment;
}
