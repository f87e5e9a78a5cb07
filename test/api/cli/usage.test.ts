import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf } from "../../support/fixtures/service-clients.ts";
import { callerOf, commandFile, sessiond } from "./command-process.ts";
import { childEnvironment } from "../../support/process/child.ts";

const service = await runningService();
const environment = callerOf(service);

const groups = {
  "": ["serve", "demo", "doctor", "migrate", "purge"],
  "migrate ": ["status"],
  "project ": ["create", "list", "show", "update", "disable"],
  "credential ": ["create", "list", "rotate", "disable"],
  "keys ": ["list", "rotate", "revoke"],
  "sessions ": ["list", "revoke", "revoke-all", "revocations", "watch"],
};
const commands = Object.entries(groups).flatMap(([group, names]) => names.map((name) => group + name));

test.each(commands)("%s --help prints the usage", async (name) => {
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
  const variables = ["SESSIOND_SERVER", "SESSIOND_PROJECT", "SESSIOND_SECRET_FILE", "SESSIOND_SECRET"];
  for (const name of variables) expect(stdout).toContain(name);
  for (const code of [0, 1, 2, 3, 4, 5, 141]) expect(stdout).toMatch(new RegExp(`\\b${code}  \\w`));
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
])("rejects a wrong command line with status 2 and the usage: %j", async (args, words) => {
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
  [["sessions", "watch", "--after", "-1"], "after: must be the position"],
  [["sessions", "watch", "--oldest", "--snapshot"], "only one of"],
  [["sessions", "revoke", "no-uuid"], "must be a UUID"],
  [["project", "update", "acme"], "nothing to change"],
  [["project", "update", "acme", "--max-lifetime", "12"], "--max-lifetime must be a duration"],
  [["project", "update", "acme", "--max-lifetime", "1e999d"], "--max-lifetime must be a duration"],
  [["project", "update", "acme", "--max-sessions-per-member", "-1"], "must be a whole number"],
  [["project", "update", "acme", "--role-grants", "admin"], "--role-grants must be role=permissions"],
  [["project", "update", "acme", "--role-grants", "admin=fly"], "fly is not a permission"],
  [["project", "update", "acme", "--clear", "environment"], "--clear must name fields"],
  [["project", "update", "acme", "--clear", "jwt-lifetime", "--jwt-lifetime", "5m"], "set and cleared"],
  [["sessions", "revocations", "--for-user", ""], "--for-user must not be empty"],
  [["sessions", "revoke-all", "--member", "a", "--except", "", "--yes"], "--except must not be empty"],
  [["sessions", "revocations", "--since", "yesterday"], "--since must be"],
  [["sessions", "revocations", "--until", "2026-02-30T12:00Z"], "--until must be"],
  [["sessions", "revocations", "--until", "2026-02-31T"], "--until must be"],
  [["sessions", "revocations", "--target", "ada"], "--target needs --scope"],
  [["sessions", "revocations", "--actor", "ada"], "actor"],
])("rejects wrong values with status 2: %j", async (args, words) => {
  const { status, stdout, stderr } = await sessiond(args, { environment });
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toContain(words);
});

const revoke = ["sessions", "revoke", "01890000-0000-7000-8000-000000000000"];

test.each([
  [["sessions", "list"], {}, 2, { code: "USAGE", reason: "" }],
  [["sessions", "nothing"], {}, 2, { code: "USAGE", reason: "" }],
  [["sessions", "revoke", "no-uuid"], {}, 2, { code: "INVALID_ARGUMENT", reason: "FIELD_INVALID" }],
  [revoke, {}, 3, { code: "NOT_FOUND", reason: "SESSION_NOT_FOUND" }],
  [revoke, { SESSIOND_SECRET: "another" }, 4, { code: "UNAUTHENTICATED", reason: "CREDENTIAL_INVALID" }],
  [revoke, { SESSIOND_SERVER: "http://127.0.0.1:1" }, 5, { code: "UNAVAILABLE", reason: "" }],
])("%j with %j fails with status %i, as JSON with code and reason", async (args, changed, status, error) => {
  const options = { environment: { ...environment, ...changed } };
  const asJson = await sessiond([...args, "--json"], options);
  expect(asJson).toMatchObject({ status, stdout: "" });
  const printed = JSON.parse(asJson.stderr) as { error: object };
  expect(printed).toMatchObject({ error });
  expect(Object.keys(printed.error)).toEqual(["code", "reason", "message", "metadata"]);
  const asText = await sessiond(args, options);
  expect(asText.status).toBe(status);
  expect(asText.stderr).toContain(error.reason);
  expect(asText.stderr).not.toMatch(/^ {4}at /m);
});

test("a missing permission is named, with status 4", async () => {
  const request = { projectId: service.projectId, permissions: [Permission.SESSIONS_CREATE] };
  const { secret } = await projectsOf(service).createServiceCredential(request);
  const options = { environment: { ...environment, SESSIOND_SECRET: secret } };
  const { status, stderr } = await sessiond(["project", "list", "--json"], options);
  expect(status).toBe(4);
  const metadata = { permission: "projects.admin" };
  const error = { code: "PERMISSION_DENIED", reason: "PERMISSION_MISSING", metadata };
  expect(JSON.parse(stderr)).toMatchObject({ error });
});

test.each([[["project", "list"]], [["--help"]], [["doctor", "--help"]]])(
  "ends quietly with status 141 if its reader goes away: %j",
  async (args) => {
    const child = spawn(process.execPath, [commandFile, ...args], { env: childEnvironment(environment) });
    child.stdout.destroy();
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
    expect(await once(child, "close")).toEqual([141, null]);
    expect(stderr).toBe("");
  },
);
