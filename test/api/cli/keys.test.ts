import { expect, test } from "vitest";
import { newLogin } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";
import { callerOf, rowsOf, sessiond } from "./command-process.ts";

const service = await runningService();
const environment = callerOf(service);
const run = (...args: string[]) => sessiond(args, { environment });

test("keys list, rotate and revoke", async () => {
  const { jwt } = await newLogin(service);
  const [active] = rowsOf((await run("keys", "list")).stdout);
  expect(active).toMatchObject({ algorithm: "es256", state: "active", to: "" });

  const rotated = await run("keys", "rotate", "--json");
  expect(rotated.status).toBe(0);
  const { signingKey: next } = JSON.parse(rotated.stdout) as { signingKey: { kid: string; state: string } };
  expect(next.state).toBe("SIGNING_KEY_STATE_NEXT");
  expect(rowsOf((await run("keys", "list")).stdout).map(({ kid }) => kid)).toEqual([
    next.kid,
    active?.["kid"],
  ]);

  const reason = ["--cause", "compromise", "--reason", "in a log"];
  const { status, stdout } = await run("keys", "revoke", active?.["kid"] ?? "", ...reason);
  expect(status).toBe(0);
  expect(stdout).toMatch(/state +revoked/);
  await expect(sessionsOf(service).authenticate({ credential: { case: "jwt", value: jwt } })).rejects.toThrow(
    "names no session",
  );
  const listed = JSON.parse((await run("keys", "list", "--json")).stdout) as {
    signingKeys: { state: string }[];
  };
  expect(listed.signingKeys.map(({ state }) => state)).toEqual([
    "SIGNING_KEY_STATE_ACTIVE",
    "SIGNING_KEY_STATE_REVOKED",
  ]);
});

test("--project reaches the keys of others", async () => {
  await projectsOf(service).createProject({ id: "other" });
  expect((await run("keys", "rotate", "--project", "other")).stdout).toMatch(/state +next/);
  expect(rowsOf((await run("keys", "list", "--project", "other")).stdout)).toHaveLength(2);
  expect((await run("keys", "list", "--project", "no-such")).status).toBe(3);
});

test.each(["-unknown-key", "-hidden", "--key"])(
  "a key id that begins with a dash, %s, is no option",
  async (kid) => {
    const { status, stderr } = await run("keys", "revoke", kid);
    expect(status).toBe(3);
    expect(stderr).toContain("SIGNING_KEY_NOT_FOUND");
  },
);
