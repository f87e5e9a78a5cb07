import { expect, test } from "vitest";
import { PolicySchema } from "../../../gen/session/v1/project_pb.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf } from "../../support/fixtures/service-clients.ts";
import { callerOf, jsonOf, sessiond } from "./command-process.ts";

const service = await runningService();
const environment = callerOf(service);
const projects = projectsOf(service);
const run = (...args: string[]) => sessiond(args, { environment });

interface Shown {
  readonly project: { readonly displayName: string; readonly policy: Record<string, unknown> };
}
const shown = async (id: string) => (await jsonOf<Shown>(run("project", "show", id, "--json"))).project;

/** The lines of `project show` by their names. */
function linesOf(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/) as [string, string]),
  );
}

const everySetting = {
  "default-lifetime": "90m",
  "max-lifetime": "12h",
  "default-idle-timeout": "30m",
  "jwt-lifetime": "30s",
  "role-grants": "admin=sessions.read,sessions.revoke;a=b=sessions.read",
  "jwt-profile": "stytch",
  "signature-algorithm": "eddsa",
  "max-sessions-per-member": "5",
  "session-limit-action": "end-oldest",
  "token-reuse-action": "revoke",
  "token-reuse-leeway": "1500ms",
};
const optionsOf = (settings: Record<string, string>) =>
  Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);

test("project update has an option for every field of the policy, and project show prints them", async () => {
  const names = PolicySchema.fields.map(({ name }) => name.replaceAll("_", "-"));
  expect(Object.keys(everySetting)).toEqual(names);
  await projects.createProject({ id: "acme" });
  const { status, stdout } = await run(
    "project",
    "update",
    "acme",
    "--display-name",
    "Acme",
    ...optionsOf(everySetting),
  );
  expect(status).toBe(0);
  expect(linesOf(stdout)).toMatchObject({
    project: "acme",
    name: "Acme",
    environment: "test",
    ...everySetting,
  });
  expect((await run("project", "show", "acme")).stdout).toBe(stdout);

  const reset = await run("project", "update", "acme", "--clear", ["display-name", ...names].join(","));
  expect(reset.status).toBe(0);
  await projects.createProject({ id: "fresh" });
  expect((await shown("acme")).policy).toEqual((await shown("fresh")).policy);
  expect((await shown("acme")).displayName).toBe("");
});

test("project update changes only what its options name", async () => {
  await projects.createProject({ id: "globex", displayName: "Globex", policy: { maxSessionsPerMember: 3 } });
  const { policy } = await shown("globex");
  await jsonOf(run("project", "update", "globex", "--jwt-lifetime", "1m", "--json"));
  expect(await shown("globex")).toMatchObject({
    displayName: "Globex",
    policy: { ...policy, jwtLifetime: "60s" },
  });
  const cleared = ["--clear", "max-sessions-per-member, role-grants", "--display-name", "New"];
  const answer = await jsonOf<Shown>(run("project", "update", "globex", ...cleared, "--json"));
  expect(answer.project).toEqual(await shown("globex"));
  const changed = { ...policy, jwtLifetime: "60s", maxSessionsPerMember: 0 };
  expect(answer.project).toMatchObject({ displayName: "New", policy: changed });
  await run("project", "update", "globex", "--max-sessions-per-member", "0", "--role-grants", "");
  expect(await shown("globex")).toEqual(answer.project);
});

test("a refused policy changes nothing, and the field is named", async () => {
  await projects.createProject({ id: "initech" });
  const before = await shown("initech");
  const options = ["--display-name", "New", "--max-lifetime", "1h"];
  const { status, stderr } = await run("project", "update", "initech", ...options);
  expect(status).toBe(2);
  expect(stderr).toContain("policy.max_lifetime: must not be shorter than default_lifetime");
  expect(await shown("initech")).toEqual(before);
});

test("an unknown project is status 3, a disabled one status 1", async () => {
  for (const command of [
    ["show", "no-such"],
    ["update", "no-such", "--display-name", "New"],
  ]) {
    expect((await run("project", ...command)).status).toBe(3);
  }
  await projects.createProject({ id: "disabled" });
  await projects.disableProject({ id: "disabled" });
  const { status, stderr } = await run("project", "update", "disabled", "--display-name", "New");
  expect(status).toBe(1);
  expect(stderr).toContain("PROJECT_NOT_ACTIVE");
});
