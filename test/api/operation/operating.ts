import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, expect, onTestFinished } from "vitest";
import { basicAuthorization, testMasterKey } from "../../support/fixtures/running-service.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";
import { createTestDatabase } from "../../support/postgres/test-database.ts";
import { type ServeProcess, serveProcess } from "../../support/process/serve-process.ts";

/** Starts a service on a database, with a master key. */
export function serveOn(
  databaseUrl: string,
  environment: Readonly<Record<string, string>> = {},
): ServeProcess {
  return serveProcess({ DATABASE_URL: databaseUrl, SESSIOND_MASTER_KEY: testMasterKey, ...environment });
}

/** Secret of bootstrap projects. */
export const secret = "bootstrap-secret-of-these-tests-only";

/** Client of a bootstrap project of the service. */
export async function sessionsOn(service: ServeProcess, projectId: string, projectSecret = secret) {
  const url = `http://127.0.0.1:${await service.listening}`;
  return sessionsOf({ url, basic: basicAuthorization(projectId, projectSecret) });
}

/** Creates a database for the tests of a file, and returns its URL: call it at the top level. */
export async function databaseOfFile(): Promise<string> {
  const { url, drop } = await createTestDatabase();
  afterAll(drop);
  return url;
}

/** An empty folder, removed when the test ends. */
export async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sessiond-start-"));
  // If the tests run as root, PostgreSQL runs as another user, who must be able to enter.
  await chmod(folder, 0o755);
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Makes revocations wait for their project's row lock until `release`. */
export async function holdRevocations(databaseUrl: string) {
  const holder = new Client({ connectionString: databaseUrl });
  await holder.connect();
  onTestFinished(() => holder.end());
  await holder.query("begin");
  await holder.query("select from project_revisions for update");
  const waiting = `select from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`;
  return {
    /** Resolves when one revocation waits. */
    waited: async () => {
      await expect.poll(async () => (await holder.query(waiting)).rowCount, { timeout: 10_000 }).toBe(1);
    },
    release: () => holder.query("rollback"),
  };
}
