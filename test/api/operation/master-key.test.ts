import { sql } from "kysely";
import { pino } from "pino";
import { expect, onTestFinished, test } from "vitest";
import { connectSessiond } from "../../../src/client/client.ts";
import { readConfig } from "../../../src/server/config/config.ts";
import { startService } from "../../../src/server/service.ts";
import { openStore } from "../../support/postgres/open-store.ts";
import { createTestDatabase } from "../../support/postgres/test-database.ts";

const keyOf = (letter: string) => Buffer.alloc(32, letter).toString("base64");
const secret = "a-secret";

/** Starts a service with these master keys, and creates a session; returns its JWT. */
async function createJwt(url: string, master: string, accepted = ""): Promise<string> {
  const read = readConfig({
    DATABASE_URL: url,
    SESSIOND_LISTEN: "127.0.0.1:0",
    SESSIOND_BOOTSTRAP_PROJECT: `project:${secret}`,
    SESSIOND_MASTER_KEY: master,
    SESSIOND_MASTER_KEYS_ACCEPTED: accepted,
  });
  if ("problems" in read) throw new Error(read.problems.join("\n"));
  const service = await startService(read.config, pino({ level: "silent" }));
  try {
    const baseUrl = `http://127.0.0.1:${service.port}`;
    const { sessions } = connectSessiond({ baseUrl, credential: { projectId: "project", secret } });
    return (await sessions.create({ memberId: "ada" })).jwt;
  } finally {
    await service.stop();
  }
}

test("a master key is changed in two steps, and a wrong one is rejected at start", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.drop());
  const [old, current] = [keyOf("o"), keyOf("n")];
  const first = await createJwt(database.url, old);
  await expect(createJwt(database.url, current)).rejects.toThrow(
    /is encrypted with master key [0-9a-f]{16}, which is not configured .*SESSIOND_MASTER_KEYS_ACCEPTED/,
  );
  const during = await createJwt(database.url, current, `${keyOf("x")}, ${old}`);
  const after = await createJwt(database.url, current);
  const kids = [first, during, after].map((jwt) => jwt.split(".")[0]);
  expect(new Set(kids).size).toBe(1);
  await expect(createJwt(database.url, old)).rejects.toThrow("is not configured");
});

test("if a master key is lost, its signing keys can be retired by hand", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.drop());
  const before = await createJwt(database.url, keyOf("o"));
  const opened = openStore(database.url);
  onTestFinished(() => opened.close());
  await sql`
    update signing_keys set activate_time = least(activate_time, now()), retire_time = now()
    where retire_time is null or retire_time > now()`.execute(opened.db);
  const after = await createJwt(database.url, keyOf("n"));
  expect(after.split(".")[0]).not.toBe(before.split(".")[0]);
});
