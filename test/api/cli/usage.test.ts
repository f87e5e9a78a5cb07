import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf } from "../../support/fixtures/service-clients.ts";
import { callerOf, commandFile, sessiond } from "./command-process.ts";
import { childEnvironment } from "../../support/process/command.ts";

const service = await runningService();
const environment = callerOf(service);

/** Every command, as `--help` of its group lists it. */
const commands = [
  "serve",
  "demo",
  "doctor",
  "migrate",
  "migrate status",
  "purge",
  "project create",
  "project list",
  "project disable",
  "credential create",
  "credential list",
  "credential rotate",
  "credential disable",
  "keys list",
  "keys rotate",
  "keys revoke",
  "sessions list",
  "sessions revoke",
  "sessions revoke-all",
  "sessions revocations",
  "sessions watch",
];

test.each(commands)("%s says what it is for, and what it takes", async (name) => {
  const { status, stdout, stderr } = await sessiond([...name.split(" "), "--help"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain(`Usage: sessiond ${name} `);
  expect(stdout).toContain("--help");
  expect(stdout.includes("--json")).toBe(!["serve", "demo"].includes(name));
});

test("--help names every command, where the credential comes from, and each exit status", async () => {
  const { status, stdout } = await sessiond(["--help"]);
  expect(status).toBe(0);
  for (const name of commands) expect(stdout).toMatch(new RegExp(`^ +${name.split(" ")[0]} `, "m"));
  for (const name of ["SESSIOND_SERVER", "SESSIOND_PROJECT", "SESSIOND_SECRET_FILE", "SESSIOND_SECRET"]) {
    expect(stdout).toContain(name);
  }
  for (const code of ["0", "1", "2", "3", "4", "5", "141"]) {
    expect(stdout).toMatch(new RegExp(`\\b${code}  \\w`));
  }
});

test("--version is that of the package", async () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  expect(await sessiond(["--version"])).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
});

test.each([
  [[], "Usage: sessiond "],
  [["sessions"], "Usage: sessiond sessions "],
  [["sesions"], "unknown command 'sesions'"],
  [["sessions", "revok"], "unknown command 'revok'"],
  [["sessions", "list", "--membr", "a"], "unknown option '--membr'"],
  [["sessions", "list", "--state", "asleep"], "Allowed choices are active, expired, idle-expired, revoked"],
  [["project", "create"], "missing required argument 'id'"],
  [["credential", "create"], "required option '--permissions <list>' not specified"],
  [["migrate", "stauts"], "too many arguments"],
])("%j is no command line: status 2, and the usage on standard error", async (args, words) => {
  const { status, stdout, stderr } = await sessiond(args, { environment });
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toContain(words);
  expect(stderr).toContain("Usage: sessiond");
});

test.each([
  [["sessions", "list"], "--member, --organization or both"],
  [["sessions", "list", "--member", "a", "--limit", "0"], "--limit must be"],
  [["sessions", "list", "--member", "a", "--timeout", "soon"], "--timeout must be"],
  [["sessions", "revoke"], "exactly one of"],
  [["sessions", "revoke", "id", "--member", "a"], "exactly one of"],
  [["sessions", "revoke-all"], "exactly one of"],
  [["sessions", "revoke-all", "--project", "--member", "a"], "exactly one of"],
  [["sessions", "watch", "--after", "-1"], "--after must be"],
  [["sessions", "watch", "--oldest", "--snapshot"], "only one of"],
  [["sessions", "revoke", "no-uuid"], "must be a UUID"],
  [["sessions", "revocations", "--since", "yesterday"], "--since must be"],
  [["sessions", "revocations", "--until", "2026-02-30T12:00Z"], "--until must be"],
])("%j makes no sense: status 2, in words", async (args, words) => {
  const { status, stdout, stderr } = await sessiond(args, { environment });
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toContain(words);
});

const aSession = "01890000-0000-7000-8000-000000000000";

test.each([
  [["sessions", "list"], {}, 2, { code: "USAGE", reason: "" }],
  [["sessions", "nothing"], {}, 2, { code: "USAGE", reason: "" }],
  [["sessions", "revoke", "no-uuid"], {}, 2, { code: "INVALID_ARGUMENT", reason: "FIELD_INVALID" }],
  [["sessions", "revoke", aSession], {}, 3, { code: "NOT_FOUND", reason: "SESSION_NOT_FOUND" }],
  [
    ["sessions", "revoke", aSession],
    { SESSIOND_SECRET: "another" },
    4,
    { code: "UNAUTHENTICATED", reason: "CREDENTIAL_INVALID" },
  ],
  [
    ["sessions", "revoke", aSession],
    { SESSIOND_SERVER: "http://127.0.0.1:1" },
    5,
    { code: "UNAVAILABLE", reason: "" },
  ],
])(
  "%j with %j fails with status %i, and as JSON with code and reason",
  async (args, changed, status, error) => {
    const run = { environment: { ...environment, ...changed } };
    const told = await sessiond([...args, "--json"], run);
    expect({ status: told.status, stdout: told.stdout }).toEqual({ status, stdout: "" });
    const said: unknown = JSON.parse(told.stderr);
    expect(said).toMatchObject({ error });
    expect(Object.keys((said as { error: object }).error)).toEqual(["code", "reason", "message", "metadata"]);
    const inWords = await sessiond(args, run);
    expect(inWords.status).toBe(status);
    expect(inWords.stderr).toContain(error.reason);
    expect(inWords.stderr).not.toMatch(/^ {4}at /m);
  },
);

test("a lacking permission is named, and is status 4", async () => {
  const { projectId } = service;
  const { secret } = await projectsOf(service).createServiceCredential({
    projectId,
    permissions: ["sessions.create"],
  });
  const told = await sessiond(["project", "list", "--json"], {
    environment: { ...environment, SESSIOND_SECRET: secret },
  });
  expect(told.status).toBe(4);
  expect(JSON.parse(told.stderr)).toMatchObject({
    error: {
      code: "PERMISSION_DENIED",
      reason: "PERMISSION_MISSING",
      metadata: { permission: "projects.admin" },
    },
  });
});

test.each([[["project", "list"]], [["--help"]], [["doctor", "--help"]]])(
  "%j: a reader that goes away ends it quietly, as a closed pipe does",
  async (args) => {
    const child = spawn(process.execPath, [commandFile, ...args], {
      env: childEnvironment(environment),
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.destroy();
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
    expect(await once(child, "close")).toEqual([141, null]);
    expect(stderr).toBe("");
  },
);
