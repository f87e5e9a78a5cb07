import { expect, test, vi } from "vitest";
import { type StartedProcess, childEnvironment, runCommand } from "../../support/process/command.ts";
import { newLogin } from "../../support/fixtures/logins.ts";
import { patience } from "../../support/patience.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";
import { callerOf, commandFile, sessiond, startSessiond } from "./command-process.ts";

const service = await runningService();
const environment = callerOf(service);

/** Starts a watch and waits until it hears. */
async function watching(
  args: readonly string[],
  changed: Record<string, string> = {},
): Promise<StartedProcess> {
  const watch = startSessiond(["sessions", "watch", ...args], {
    environment: { ...environment, ...changed },
  });
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

test("prints revocations as they come, and ends at SIGINT with what to go on after", async () => {
  const watch = await watching([]);
  const { id, memberId } = await newLogin(service);
  await sessionsOf(service).revoke({ target: { case: "id", value: id }, cause: 3 });
  const { revision } = await sessionsOf(service).revokeAll({
    scope: { case: "memberId", value: memberId },
    exceptSessionId: (await newLogin(service, { memberId })).id,
  });
  await until(watch, 2);
  const [first, second] = linesOf(watch);
  expect(first).toMatch(new RegExp(`^\\d{4}-\\S+Z  ${revision - 1n}  session  ${id}  compromise$`));
  expect(second).toMatch(new RegExp(`  ${revision}  member  ${memberId}  -  except [\\w-]{36}$`));
  watch.signal("SIGINT");
  expect(await watch.ended).toBe(0);
  expect(watch.stderr()).toContain(`continue with --after ${revision}`);
  expect(linesOf(watch)).toHaveLength(2);
});

test("--after, --oldest and --snapshot say where to start; --json is a document a line", async () => {
  const [first = "", second = "", third = ""] = await revokeSome(3);
  const after = await watching(["--after", first, "--json"]);
  await until(after, 2);
  expect(revisionsOf(after)).toEqual([second, third]);
  expect(JSON.parse(linesOf(after)[0] ?? "")).toMatchObject({
    scope: "REVOCATION_SCOPE_SESSION",
    targetId: expect.any(String),
    cause: "REVOCATION_CAUSE_UNSPECIFIED",
    exceptSessionId: "",
  });
  for (const start of ["--oldest", "--snapshot"]) {
    const watch = await watching([start, "--json"]);
    await until(watch, Number(third));
    expect(revisionsOf(watch)).toEqual(Array.from({ length: Number(third) }, (_, i) => String(i + 1)));
  }
  after.signal("SIGTERM");
  expect(await after.ended).toBe(0);
});

test("--no-follow ends when there is nothing more for now", async () => {
  const [revision] = await revokeSome(1);
  const dump = await sessiond(["sessions", "watch", "--oldest", "--no-follow"], { environment });
  expect(dump.status).toBe(0);
  expect(dump.stdout.trimEnd().split("\n")).toHaveLength(Number(revision));
  expect(dump.stderr).toContain(`continue with --after ${revision}`);
});

test("a connection that breaks is resumed: nothing is missed, and nothing comes twice", async () => {
  const relay = await startRelay(service.url);
  try {
    const watch = await watching(["--json"], { SESSIOND_SERVER: relay.url });
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
  } finally {
    await relay.close();
  }
});

test("it can be ended while there is nobody to resume with", async () => {
  const relay = await startRelay(service.url);
  try {
    const watch = await watching([], { SESSIOND_SERVER: relay.url });
    relay.cut();
    await vi.waitUntil(() => watch.stderr().includes("disconnected: "), patience);
    watch.signal("SIGINT");
    expect(await watch.ended).toBe(0);
  } finally {
    await relay.close();
  }
});

test("what does not pass ends it: nobody there at first, a credential refused, a log that does not reach so far", async () => {
  const watch = ["sessions", "watch"];
  const nobody = { ...environment, SESSIOND_SERVER: "http://127.0.0.1:1" };
  expect((await sessiond(watch, { environment: nobody })).status).toBe(5);
  const stranger = { ...environment, SESSIOND_SECRET: "another" };
  expect((await sessiond(watch, { environment: stranger })).status).toBe(4);
  const ahead = await sessiond([...watch, "--after", "999999", "--json"], { environment });
  expect(ahead.status).toBe(1);
  expect(JSON.parse(ahead.stderr)).toMatchObject({
    error: {
      code: "OUT_OF_RANGE",
      reason: "REVISION_OUT_OF_RANGE",
      message: expect.stringContaining("--snapshot"),
    },
  });
});

test("a reader that goes away ends it, quietly", async () => {
  await revokeSome(2);
  const piped = `"$@" | head -n 1; echo "status \${PIPESTATUS[0]}"`;
  // The pipe breaks with the next line: as soon as somebody revokes.
  const args = [
    "--norc",
    "-c",
    piped,
    "bash",
    process.execPath,
    commandFile,
    "sessions",
    "watch",
    "--oldest",
  ];
  const ending = runCommand("bash", args, { environment: childEnvironment(environment) });
  const revoking = new AbortController();
  const revocations = (async () => {
    while (!revoking.signal.aborted) await revokeSome(1);
  })();
  const { stdout, stderr } = await ending;
  revoking.abort();
  await revocations;
  expect(stdout).toMatch(/^\S+Z  1  session  [^\n]+\nstatus 141\n$/);
  expect(stderr).toMatch(/^watching project [^\n]+\n$/);
});
