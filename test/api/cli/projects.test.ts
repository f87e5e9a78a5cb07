import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { childEnvironment, runCommand } from "../../support/process/command.ts";
import { basicAuthorization, runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";
import { reasonOf } from "../../support/fixtures/logins.ts";
import { callerOf, commandFile, emptyFolder, rowsOf, sessiond } from "./command-process.ts";

const service = await runningService();
const environment = callerOf(service);
const run = (...args: string[]) => sessiond(args, { environment });

/** Calls with a credential; "ok", or the reason why not. */
async function trial(projectId: string, secret: string): Promise<string> {
  const basic = basicAuthorization(projectId, secret);
  return sessionsOf({ url: service.url, basic })
    .list({ memberId: "m" })
    .then(() => "ok", reasonOf);
}

const secretForm = /ssk_[\w-]{43}/;

test("project create makes a project and a credential of a service, and shows its secret once", async () => {
  const { status, stdout, stderr } = await run("project", "create", "acme", "--display-name", "Acme");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const [secret = ""] = secretForm.exec(stdout) ?? [];
  expect(await trial("acme", secret)).toBe("ok");
  const { credentials } = await projectsOf(service).listServiceCredentials({ projectId: "acme" });
  expect(credentials).toHaveLength(1);
  expect(credentials[0]?.permissions).not.toContain("projects.admin");

  const again = await run("project", "create", "acme", "--json");
  expect({ status: again.status, stdout: again.stdout }).toEqual({ status: 1, stdout: "" });
  expect(JSON.parse(again.stderr)).toMatchObject({
    error: { code: "ALREADY_EXISTS", reason: "PROJECT_EXISTS" },
  });
});

test("project create --json is one document of API messages; --secret-out keeps the secret out of it", async () => {
  const file = join(await emptyFolder(), "secret");
  const args = [
    "project",
    "create",
    "globex",
    "--environment",
    "live",
    "--permissions",
    "sessions.read",
    "--json",
  ];
  const { status, stdout } = await run(...args, "--secret-out", file);
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    project: { id: "globex", environment: "ENVIRONMENT_LIVE" },
    credential: { projectId: "globex", permissions: ["sessions.read"] },
    secretFile: file,
  });
  expect(stdout).not.toMatch(secretForm);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await trial("globex", (await readFile(file, "utf8")).trim())).toBe("ok");
});

test("a secret that could not be written down is not made, and no file is left where none was made", async () => {
  const folder = await emptyFolder();
  const file = join(folder, "secret");
  expect((await run("project", "create", "acme", "--secret-out", file)).status).not.toBe(0);
  await expect(stat(file)).rejects.toThrow("ENOENT");

  const taken = await run("project", "create", "initech", "--secret-out", folder);
  expect(taken.status).toBe(1);
  expect(taken.stderr).toContain("must be a new file");
  await expect(projectsOf(service).getProject({ id: "initech" })).rejects.toThrow("no such project");
});

test("a project whose credential is refused is there, and the error says how to go on", async () => {
  const { status, stderr } = await run("project", "create", "hooli", "--permissions", "sessions.fly");
  expect(status).toBe(2);
  expect(stderr).toContain("project hooli was created, but not its credential");
  expect(stderr).toContain("sessiond credential create --project hooli");
  await projectsOf(service).getProject({ id: "hooli" });
});

test("project create --no-credential makes the project alone", async () => {
  expect((await run("project", "create", "umbrella", "--no-credential")).stdout).toBe("project  umbrella\n");
  const { credentials } = await projectsOf(service).listServiceCredentials({ projectId: "umbrella" });
  expect(credentials).toEqual([]);
});

test("project list goes page by page as far as --limit, and can go on", async () => {
  const ids = ["page-a", "page-b", "page-c"];
  for (const id of ids) await projectsOf(service).createProject({ id, displayName: `\u001b[31m${id}` });
  const rows = rowsOf((await run("project", "list")).stdout);
  expect(rows.map(({ id }) => id)).toEqual(expect.arrayContaining(ids));
  expect(rows.find(({ id }) => id === "page-a")?.["name"]).toBe("\\u001b[31mpage-a");

  const all = JSON.parse((await run("project", "list", "--json")).stdout) as Page;
  expect(all.nextPageToken).toBe("");
  const first = JSON.parse((await run("project", "list", "--json", "--limit", "2")).stdout) as Page;
  expect(first.projects).toEqual(all.projects.slice(0, 2));
  const rest = await run("project", "list", "--json", "--page-token", first.nextPageToken);
  expect((JSON.parse(rest.stdout) as Page).projects).toEqual(all.projects.slice(2));
  expect((await run("project", "list", "--limit", "2")).stdout).toContain(
    `--page-token ${first.nextPageToken}`,
  );
});

interface Page {
  readonly projects: readonly { readonly id: string }[];
  readonly nextPageToken: string;
}

test("project disable refuses its credentials from then on", async () => {
  const created = JSON.parse((await run("project", "create", "doomed", "--json")).stdout) as {
    secret: string;
  };
  expect(await trial("doomed", created.secret)).toBe("ok");
  const { status, stdout } = await run("project", "disable", "doomed");
  expect(status).toBe(0);
  expect(stdout).toMatch(/^project +doomed\ndisabled +\d{4}-/);
  expect(await trial("doomed", created.secret)).toBe("CREDENTIAL_INVALID");
  expect((await run("project", "disable", "no-such")).status).toBe(3);
});

test("credential create, list and disable, for the calling project and for others", async () => {
  const own = JSON.parse(
    (await run("credential", "create", "--permissions", "sessions.read, sessions.revoke", "--json")).stdout,
  ) as Created;
  expect(own.credential).toMatchObject({
    projectId: service.projectId,
    permissions: ["sessions.read", "sessions.revoke"],
  });
  await projectsOf(service).createProject({ id: "other" });
  const args = ["--project", "other", "--display-name", "Reader", "--permissions", "sessions.read"];
  const created = await run("credential", "create", ...args);
  const [secret = ""] = secretForm.exec(created.stdout) ?? [];
  expect(await trial("other", secret)).toBe("ok");

  const list = await run("credential", "list", "--project", "other");
  expect(list.stdout).not.toMatch(secretForm);
  const [row] = rowsOf(list.stdout);
  expect(row).toMatchObject({ name: "Reader", permissions: "sessions.read", disabled: "" });

  const id = row?.["id"] ?? "";
  const disabled = await run("credential", "disable", id, "--project", "other", "--json");
  expect(JSON.parse(disabled.stdout)).toMatchObject({ credential: { id, disableTime: expect.any(String) } });
  expect(await trial("other", secret)).toBe("CREDENTIAL_INVALID");
  expect((await run("credential", "disable", own.credential.id, "--project", "other")).status).toBe(3);
});

interface Created {
  readonly credential: { readonly id: string; readonly projectId: string; readonly permissions: string[] };
  readonly secret: string;
}

test("credential rotate makes one that may do the same, and disables the old one", async () => {
  const projects = projectsOf(service);
  await projects.createProject({ id: "rotating" });
  const old = await projects.createServiceCredential({
    projectId: "rotating",
    displayName: "Login",
    permissions: ["sessions.create", "sessions.read"],
  });
  const id = old.credential?.id ?? "";
  const rotate = ["credential", "rotate", id, "--project", "rotating", "--json"];

  const kept = await run(...rotate, "--keep-old");
  const first = JSON.parse(kept.stdout) as Created;
  expect(first).toMatchObject({
    credential: { displayName: "Login", permissions: ["sessions.create", "sessions.read"] },
    replacedId: id,
  });
  expect(kept.stderr).toContain(`sessiond credential disable ${id} --project rotating`);
  expect(await trial("rotating", old.secret)).toBe("ok");

  const { status, stdout } = await run(...rotate);
  expect(status).toBe(0);
  const second = JSON.parse(stdout) as Created;
  expect(await trial("rotating", first.secret)).toBe("ok");
  expect(await trial("rotating", second.secret)).toBe("ok");
  expect(await trial("rotating", old.secret)).toBe("CREDENTIAL_INVALID");

  const again = await run(...rotate);
  expect(again.status).toBe(1);
  expect(again.stderr).toContain("is disabled");
  const unknown = await run("credential", "rotate", second.credential.id, "--json");
  expect(unknown.status).toBe(3);
  const { credentials } = await projects.listServiceCredentials({ projectId: "rotating" });
  expect(credentials).toHaveLength(3);
});

test("credential rotate does not take away the names of client certificates", async () => {
  const projects = projectsOf(service);
  await projects.createProject({ id: "mesh" });
  const names = ["--certificate-names", "spiffe://prod.example/orders, orders.mesh.svc"];
  const create = ["credential", "create", "--project", "mesh", "--permissions", "sessions.read"];
  const made = JSON.parse((await run(...create, ...names, "--json")).stdout) as Created;
  const certificateNames = ["spiffe://prod.example/orders", "orders.mesh.svc"];
  expect(made.credential).toMatchObject({ certificateNames });
  const list = await run("credential", "list", "--project", "mesh");
  expect(rowsOf(list.stdout)[0]?.["certificates"]).toBe(certificateNames.join(","));

  const { status, stdout, stderr } = await run(
    "credential",
    "rotate",
    made.credential.id,
    "--project",
    "mesh",
  );
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toContain(`sessiond credential disable ${made.credential.id} --project mesh`);
  const { credentials } = await projects.listServiceCredentials({ projectId: "mesh" });
  expect(credentials).toMatchObject([{ id: made.credential.id, certificateNames }]);
  expect(credentials[0]?.disableTime).toBeUndefined();
});

test.runIf(process.platform === "linux")(
  "credential rotate leaves the old one good where the new secret could not be written down",
  async () => {
    const projects = projectsOf(service);
    await projects.createProject({ id: "careful" });
    const permissions = ["sessions.read"];
    const old = await projects.createServiceCredential({ projectId: "careful", permissions });
    const rotate = ["credential", "rotate", old.credential?.id ?? "", "--project", "careful"];
    // /dev/full takes no byte.
    const script = `exec "$@" > /dev/full`;
    const { status, stderr } = await sessiondBy(script, rotate);
    expect(status).toBe(1);
    expect(stderr).toContain("its secret could not be written: disable it by `sessiond credential disable ");
    expect(stderr).toContain("ENOSPC");
    expect(await trial("careful", old.secret)).toBe("ok");
  },
);

async function sessiondBy(script: string, args: readonly string[]) {
  return runCommand("bash", ["--norc", "-c", script, "bash", process.execPath, commandFile, ...args], {
    environment: childEnvironment(environment),
  });
}
