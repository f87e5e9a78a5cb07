import { sql } from "kysely";
import { expect, onTestFinished, test } from "vitest";
import { openStore } from "../../support/postgres/open-store.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";
import { secret, serveOn, sessionsOn } from "./operating.ts";

const keyOf = (letter: string) => Buffer.alloc(32, letter).toString("base64");

/** Starts a service with these master keys, and creates a session; returns its JWT. Rejects with the output of a failed start. */
async function createJwt(url: string, master: string, accepted = ""): Promise<string> {
  const service = serveOn(url, {
    SESSIOND_BOOTSTRAP_PROJECT: `project:${secret}`,
    SESSIOND_MASTER_KEY: master,
    SESSIOND_MASTER_KEYS_ACCEPTED: accepted,
  });
  const { jwt } = await (await sessionsOn(service, "project")).create({ memberId: "ada" });
  service.signal("SIGTERM");
  expect(await service.ended).toBe(0);
  return jwt;
}

// Five processes start one after the other.
test(
  "a master key is changed in two steps, and a wrong one is rejected at start",
  { timeout: 90_000 },
  async () => {
    const url = await databaseOfTest();
    const [old, current] = [keyOf("o"), keyOf("n")];
    const first = await createJwt(url, old);
    await expect(createJwt(url, current)).rejects.toThrow(
      /is encrypted with master key [0-9a-f]{16}, which is not configured .*SESSIOND_MASTER_KEYS_ACCEPTED/,
    );
    const during = await createJwt(url, current, `${keyOf("x")}, ${old}`);
    const after = await createJwt(url, current);
    const kids = [first, during, after].map((jwt) => jwt.split(".")[0]);
    expect(new Set(kids).size).toBe(1);
    await expect(createJwt(url, old)).rejects.toThrow("is not configured");
  },
);

test("if a master key is lost, its signing keys can be retired by hand", async () => {
  const url = await databaseOfTest();
  const before = await createJwt(url, keyOf("o"));
  const opened = openStore(url);
  onTestFinished(() => opened.close());
  await sql`
    update signing_keys set activate_time = least(activate_time, now()), retire_time = now()
    where retire_time is null or retire_time > now()`.execute(opened.db);
  const after = await createJwt(url, keyOf("n"));
  expect(after.split(".")[0]).not.toBe(before.split(".")[0]);
});
