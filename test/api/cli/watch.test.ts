import { createServer } from "node:net";
import { foreignPosition, positionAt } from "../../support/fixtures/positions.ts";
import { expect, onTestFinished, test, vi } from "vitest";
import type { StartedProcess } from "../../support/process/command.ts";
import { newLogin } from "../../support/fixtures/logins.ts";
import { backUp, restore } from "../../support/postgres/test-database.ts";
import { patience } from "../../support/patience.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";
import { callerOf, listenOnLoopback, sessiond, sessiondInBash, startSessiond } from "./command-process.ts";

const service = await runningService();
const environment = callerOf(service);

/** Starts a watch and waits until it is connected. */
async function startWatch(args: readonly string[], server = service.url): Promise<StartedProcess> {
  const options = { environment: { ...environment, SESSIOND_SERVER: server } };
  const watch = startSessiond(["sessions", "watch", ...args], options);
  await vi.waitUntil(() => watch.stderr().includes("watching project"), patience);
  return watch;
}

const linesOf = (watch: StartedProcess) => watch.stdout().split("\n").slice(0, -1);

async function until(watch: StartedProcess, lines: number): Promise<void> {
  await vi.waitUntil(() => linesOf(watch).length >= lines, patience);
}

/** Revokes `count` sessions, one by one, and returns their revisions. */
async function revokeSome(count: number): Promise<string[]> {
  const revisions = [];
  for (let i = 0; i < count; i++) {
    const { id } = await newLogin(service);
    const { revision } = await sessionsOf(service).revoke({ target: { case: "id", value: id } });
    revisions.push(String(revision));
  }
  return revisions;
}

const revisionsOf = (watch: StartedProcess) =>
  linesOf(watch).map((line) => (JSON.parse(line) as { revision: string }).revision);

test("prints revocations as they happen, and at SIGINT the position to continue after", async () => {
  const watch = await startWatch([]);
  const { id, memberId } = await newLogin(service);
  await sessionsOf(service).revoke({ target: { case: "id", value: id }, cause: 3 });
  const { revision = 0n } = await sessionsOf(service).revokeAll({
    scope: { case: "memberId", value: memberId },
    exceptSessionId: (await newLogin(service, { memberId })).id,
  });
  await until(watch, 2);
  const [first, second] = linesOf(watch);
  expect(first).toMatch(new RegExp(`^\\d{4}-\\S+Z  ${revision - 1n}  session  ${id}  compromise$`));
  expect(second).toMatch(new RegExp(`  ${revision}  member  ${memberId}  -  except [\\w-]{36}$`));
  watch.signal("SIGINT");
  expect(await watch.ended).toBe(0);
  expect(watch.stderr()).toContain(`continue with --after ${await positionAt(service, revision)}`);
  expect(linesOf(watch)).toHaveLength(2);
});

test("--after, --oldest and --snapshot select the start; --json prints one document per line", async () => {
  const [first = "", second = "", third = ""] = await revokeSome(3);
  const after = await startWatch(["--after", await positionAt(service, first), "--json"]);
  await until(after, 2);
  expect(revisionsOf(after)).toEqual([second, third]);
  expect(JSON.parse(linesOf(after)[0] ?? "")).toMatchObject({
    scope: "REVOCATION_SCOPE_SESSION",
    targetId: expect.any(String),
    cause: "REVOCATION_CAUSE_UNSPECIFIED",
    exceptSessionId: "",
  });
  expect(JSON.parse(linesOf(after).at(-1) ?? "")).toMatchObject({
    position: await positionAt(service, third),
  });
  for (const start of ["--oldest", "--snapshot"]) {
    const watch = await startWatch([start, "--json"]);
    await until(watch, Number(third));
    expect(revisionsOf(watch)).toEqual(Array.from({ length: Number(third) }, (_, i) => String(i + 1)));
  }
  after.signal("SIGTERM");
  expect(await after.ended).toBe(0);
});

test("--no-follow ends when there are no more revocations", async () => {
  const [revision = ""] = await revokeSome(1);
  const dump = await sessiond(["sessions", "watch", "--oldest", "--no-follow"], { environment });
  expect(dump.status).toBe(0);
  expect(dump.stdout.trimEnd().split("\n")).toHaveLength(Number(revision));
  expect(dump.stderr).toContain(`continue with --after ${await positionAt(service, revision)}`);
});

/** A relay to the service that is closed after the test. */
async function relayToService() {
  const relay = await startRelay(service.url);
  onTestFinished(() => relay.close());
  return relay;
}

test("a broken connection is resumed without a missing or repeated revocation", async () => {
  const relay = await relayToService();
  const watch = await startWatch(["--json"], relay.url);
  const expected = await revokeSome(1);
  await until(watch, 1);
  for (let round = 0; round < 3; round++) {
    relay.cut();
    expected.push(...(await revokeSome(2)));
    relay.mend();
    expected.push(...(await revokeSome(1)));
    await until(watch, expected.length);
  }
  expect(revisionsOf(watch)).toEqual(expected);
  expect(watch.stderr()).toContain("disconnected: ");
  watch.signal("SIGINT");
  expect(await watch.ended).toBe(0);
});

test("SIGINT ends it while it is disconnected", async () => {
  const relay = await relayToService();
  const watch = await startWatch([], relay.url);
  relay.cut();
  await vi.waitUntil(() => watch.stderr().includes("disconnected: "), patience);
  watch.signal("SIGINT");
  expect(await watch.ended).toBe(0);
});

test.each([
  ["an unreachable service", { SESSIOND_SERVER: "http://127.0.0.1:1" }, 5],
  ["a wrong credential", { SESSIOND_SECRET: "another" }, 4],
])("%s ends it", async (_, changed, status) => {
  const options = { environment: { ...environment, ...changed } };
  expect((await sessiond(["sessions", "watch"], options)).status).toBe(status);
});

test("a position that the log does not have ends it, and the error says how to continue", async () => {
  const ahead = await sessiond(["sessions", "watch", "--after", foreignPosition(999_999), "--json"], {
    environment,
  });
  expect(ahead.status).toBe(1);
  const message = expect.stringContaining("--snapshot");
  const error = { code: "OUT_OF_RANGE", reason: "HISTORY_CHANGED", message };
  expect(JSON.parse(ahead.stderr)).toMatchObject({ error });
});

test("a service that does not answer at its start ends it with status 5", async () => {
  const silent = createServer();
  const port = await listenOnLoopback(silent);
  const options = { environment: { ...environment, SESSIOND_SERVER: `http://127.0.0.1:${port}` } };
  const { status, stderr } = await sessiond(["sessions", "watch"], options);
  expect(stderr).toContain("not even a heartbeat");
  expect(status).toBe(5);
});

test("it ends quietly with status 141 if its reader goes away", async () => {
  await revokeSome(2);
  const script = `"$@" | head -n 1; echo "status \${PIPESTATUS[0]}"`;
  const ended = sessiondInBash(script, ["sessions", "watch", "--oldest"], environment);
  // The pipe breaks only when the next line is written.
  const revoking = new AbortController();
  const revocations = (async () => {
    while (!revoking.signal.aborted) await revokeSome(1);
  })();
  const { stdout, stderr } = await ended;
  revoking.abort();
  await revocations;
  expect(stdout).toMatch(/^\S+Z  1  session  [^\n]+\nstatus 141\n$/);
  expect(stderr).toMatch(/^watching project [^\n]+\n$/);
});

// The last test of the file, because it replaces the database.
test("a restored database ends a running watch, which does not continue with the other log", async () => {
  const databaseUrl = service.databaseUrl;
  await backUp(databaseUrl);
  const watch = await startWatch([]);
  await vi.waitUntil(async () => {
    await revokeSome(1);
    return linesOf(watch).length > 0;
  }, patience);
  await restore(databaseUrl);
  expect(await watch.ended).toBe(1);
  expect(watch.stderr()).toContain("the database was restored to an earlier state");
  expect(watch.stderr()).toContain("--snapshot");
});
