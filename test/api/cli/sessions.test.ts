import { expect, test } from "vitest";
import { newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";
import { callerOf, fileWith, jsonOf, onTerminal, rowsOf, sessiond } from "./command-process.ts";

const service = await runningService();
const environment = callerOf(service);
const run = (...args: string[]) => sessiond(["sessions", ...args], { environment });

test("list prints the sessions of a member, newest first, with control characters as escapes", async () => {
  const device = { userAgent: "Fire\u001b]0;fox", ipAddress: "192.0.2.1" };
  const older = await newLogin(service, { memberId: "lister", organizationId: "acme", device });
  const newer = await newLogin(service, { memberId: "lister" });
  const { status, stdout, stderr } = await run("list", "--member", "lister");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(rowsOf(stdout)).toMatchObject([
    { id: newer.id, member: "lister", organization: "", state: "active", device: "" },
    { id: older.id, organization: "acme", device: "192.0.2.1 Fire\\u001b]0;fox" },
  ]);
  const byBoth = await jsonOf(run("list", "--member", "lister", "--organization", "acme", "--json"));
  expect(byBoth).toMatchObject({
    sessions: [{ id: older.id, memberId: "lister", state: "SESSION_STATE_ACTIVE", device, roles: [] }],
    nextPageToken: "",
  });
  expect(rowsOf((await run("list", "--member", "lister", "--state", "revoked")).stdout)).toEqual([]);
  const empty = { sessions: [], nextPageToken: "" };
  expect(await jsonOf(run("list", "--member", "unknown", "--json"))).toEqual(empty);
});

test("revoke by id records cause and reason, and prints the same when repeated", async () => {
  const login = await newLogin(service);
  const args = ["revoke", login.id, "--cause", "compromise", "--reason", "laptop stolen", "--json"];
  const answer = await jsonOf<{ revision: string }>(run(...args));
  expect(answer).toMatchObject({ revokedCount: "1", revokeTime: expect.any(String) });
  expect(await verdictOn(service, login)).toBe("SESSION_REVOKED");
  const { session } = await sessionsOf(service).get({ id: login.id });
  expect(session).toMatchObject({ revokeCause: 3, revokeReason: "laptop stolen" });

  const again = await run("revoke", login.id);
  const form = `^revision +${answer.revision}\nrevoked +\\d{4}-\\S+Z\nsessions ended +0\n$`;
  expect(again.stdout).toMatch(new RegExp(form));
});

test("revoke by token, by JWT and by member", async () => {
  const byToken = await newLogin(service);
  expect((await run("revoke", "--token-file", await fileWith(`${byToken.token}\n`))).status).toBe(0);
  expect(await verdictOn(service, byToken)).toBe("SESSION_REVOKED");

  const byJwt = await newLogin(service);
  const fromStdin = { environment, input: byJwt.jwt };
  expect((await sessiond(["sessions", "revoke", "--jwt-file", "-"], fromStdin)).status).toBe(0);
  expect(await verdictOn(service, byJwt)).toBe("SESSION_REVOKED");

  const one = await newLogin(service);
  const other = await newLogin(service, { memberId: one.memberId });
  const { status, stdout } = await run("revoke", "--member", one.memberId, "--count");
  expect(status).toBe(0);
  expect(stdout).toMatch(/sessions ended +2\n/);
  for (const login of [one, other]) expect(await verdictOn(service, login)).toBe("SESSION_REVOKED_BY_CUTOFF");
});

test("revoke-all ends the sessions of its scope except --except; --dry-run only counts them", async () => {
  const organizationId = "initech";
  const logins = [];
  for (let i = 0; i < 3; i++) logins.push(await newLogin(service, { organizationId }));
  const stranger = await newLogin(service);
  const [spared, ...ended] = logins;

  const revokeAll = ["revoke-all", "--organization", organizationId];
  expect((await run(...revokeAll, "--dry-run")).stdout).toBe("would end  3 sessions\n");
  const dry = await jsonOf(run(...revokeAll, "--dry-run", "--json"));
  expect(dry).toEqual({ revokedCount: "3" });
  for (const login of logins) expect(await verdictOn(service, login)).toBe("active");

  const { status, stdout } = await run(...revokeAll, "--except", spared?.id ?? "", "--count", "--yes");
  expect(status).toBe(0);
  expect(stdout).toMatch(/sessions ended +2\n/);
  for (const login of ended) expect(await verdictOn(service, login)).toBe("SESSION_REVOKED_BY_CUTOFF");
  for (const login of [spared, stranger]) expect(await verdictOn(service, login ?? stranger)).toBe("active");

  expect((await run("revoke-all", "--member", stranger.memberId, "--yes")).status).toBe(0);
  expect(await verdictOn(service, stranger)).toBe("SESSION_REVOKED_BY_CUTOFF");
});

test.runIf(process.platform === "linux")(
  "on a terminal, revoke-all asks and says how many sessions would end",
  async () => {
    const login = await newLogin(service, { organizationId: "asked" });
    const revokeAll = ["revoke-all", "--organization", "asked"];
    for (const no of ["n\n", "\n", "\u0004"]) {
      const refused = await onTerminal(["sessions", ...revokeAll], no, environment);
      expect(refused.stdout).toContain("End 1 session of organization asked? [y/N]");
      expect(refused.stdout).toContain("not confirmed: nothing was changed");
      expect(refused.status).toBe(1);
      expect(await verdictOn(service, login)).toBe("active");
    }
    const confirmed = await onTerminal(["sessions", ...revokeAll], "y\n", environment);
    expect(confirmed).toMatchObject({ status: 0, stdout: expect.stringMatching(/revision +\d+/) });
    expect(await verdictOn(service, login)).toBe("SESSION_REVOKED_BY_CUTOFF");

    const { status, stdout } = await onTerminal(
      ["sessions", "revoke-all", "--project", "--yes"],
      "",
      environment,
    );
    expect(status).toBe(0);
    expect(stdout).not.toContain("[y/N]");
  },
);

test("revocations lists target, actor, cause and reason, newest first", async () => {
  const since = new Date();
  const login = await newLogin(service, { memberId: "audited" });
  await run("revoke", login.id, "--reason", "lost\tphone", "--cause", "compromise");
  await run("revoke-all", "--member", "audited", "--yes");
  const { status, stdout, stderr } = await run("revocations", "--since", since.toISOString());
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const actor = expect.stringMatching(/^service\/[0-9a-f-]{36}$/);
  expect(rowsOf(stdout)).toMatchObject([
    { scope: "member", target: "audited", actor, cause: "administration", reason: "" },
    { scope: "session", target: login.id, actor, cause: "compromise", reason: "lost\\u0009phone" },
  ]);
  const [{ revision = "" } = {}] = rowsOf(stdout);
  const target = ["--scope", "session", "--target", login.id];
  expect(await jsonOf(run("revocations", ...target, "--json"))).toMatchObject({
    revocations: [{ revision: String(Number(revision) - 1), reason: "lost\tphone", exceptSessionId: "" }],
    nextPageToken: "",
  });
  expect((await run("revocations", "--limit", "1")).stdout).toContain("There are more: --page-token ");
  const none = await run("revocations", "--until", "2020-01-01", "--actor", "member/audited");
  expect(rowsOf(none.stdout)).toEqual([]);
});

test("every command sends --acting-user, and the lists show them and answer for a member", async () => {
  const name = "Zoë, 受付";
  const login = await newLogin(service, { memberId: "served", organizationId: "acme" });
  const other = await newLogin(service, { memberId: "served" });
  const why = ["--cause", "compromise", "--reason", "lost phone"];
  expect((await run("revoke", login.id, ...why, "--acting-user", name)).status).toBe(0);
  expect((await run("revoke-all", "--project", "--yes")).status).toBe(0);
  const actor = expect.stringMatching(/^service\/[0-9a-f-]{36}$/);
  const cause = "compromise";
  const revoked = expect.stringMatching(/^\d{4}-\S+Z$/);

  const listed = rowsOf((await run("list", "--member", "served")).stdout);
  const none = { "acting user": "", reason: "" };
  expect(listed).toMatchObject([
    { id: other.id, revoked, actor, cause: "administration", ...none },
    { id: login.id, revoked, actor, cause, "acting user": name, reason: "lost phone" },
  ]);

  const [project, session] = rowsOf((await run("revocations", "--member", "served")).stdout);
  expect(project).toMatchObject({ scope: "project", actor, cause: "administration", ...none, member: "" });
  expect(session).toMatchObject({ scope: "session", target: login.id, member: "served", revoked, actor });
  expect(session).toMatchObject({ "acting user": name, cause, reason: "lost phone" });
  const byUser = await jsonOf(run("revocations", "--for-user", name, "--json"));
  expect(byUser).toMatchObject({ revocations: [{ actingUser: name, memberId: "served" }] });

  for (const args of [
    ["list", "--member", "served"],
    ["watch", "--oldest", "--no-follow"],
  ]) {
    const refused = await run(...args, "--acting-user", "x".repeat(256));
    expect(refused).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("acting-user: must have 1 to"),
    });
  }
});
