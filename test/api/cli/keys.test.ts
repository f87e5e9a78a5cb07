import { expect, test } from "vitest";
import { newLogin } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";
import { callerOf, jsonOf, rowsOf, sessiond } from "./command-process.ts";

const service = await runningService();
const environment = callerOf(service);
const run = (...args: string[]) => sessiond(args, { environment });

interface Key {
  readonly kid: string;
  readonly state: string;
}

test("keys list, rotate and revoke", async () => {
  const { jwt } = await newLogin(service);
  const [active] = rowsOf((await run("keys", "list")).stdout);
  expect(active).toMatchObject({ algorithm: "es256", state: "active", to: "" });
  const kid = active?.["kid"] ?? "";

  const { signingKey: next } = await jsonOf<{ signingKey: Key }>(run("keys", "rotate", "--json"));
  expect(next.state).toBe("SIGNING_KEY_STATE_NEXT");
  expect(rowsOf((await run("keys", "list")).stdout)).toMatchObject([{ kid: next.kid }, { kid }]);

  const reason = ["--cause", "compromise", "--reason", "in a log"];
  const { status, stdout } = await run("keys", "revoke", kid, "--yes", ...reason);
  expect(status).toBe(0);
  expect(stdout).toMatch(/state +revoked/);
  const credential = { case: "jwt", value: jwt } as const;
  await expect(sessionsOf(service).authenticate({ credential })).rejects.toThrow("names no session");
  const { signingKeys } = await jsonOf<{ signingKeys: Key[] }>(run("keys", "list", "--json"));
  const states = ["SIGNING_KEY_STATE_ACTIVE", "SIGNING_KEY_STATE_REVOKED"];
  expect(signingKeys.map(({ state }) => state)).toEqual(states);
});

test("--project selects another project", async () => {
  await projectsOf(service).createProject({ id: "other" });
  expect((await run("keys", "rotate", "--project", "other")).stdout).toMatch(/state +next/);
  expect(rowsOf((await run("keys", "list", "--project", "other")).stdout)).toHaveLength(2);
  expect((await run("keys", "list", "--project", "no-such")).status).toBe(3);
});

test.each(["-unknown-key", "-hidden", "--key"])(
  "a key id that begins with a dash is not taken for an option: %s",
  async (kid) => {
    const { status, stderr } = await run("keys", "revoke", kid, "--yes");
    expect(status).toBe(3);
    expect(stderr).toContain("SIGNING_KEY_NOT_FOUND");
  },
);
