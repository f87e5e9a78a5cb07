import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { basicAuthorization, runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";
import { reasonOf } from "../../support/fixtures/logins.ts";
import { callerOf, emptyFolder, jsonOf, rowsOf, sessiond, sessiondInBash } from "./command-process.ts";

const service = await runningService();
const environment = callerOf(service);
const projects = projectsOf(service);
const run = (...args: string[]) => sessiond(args, { environment });

/** Calls with a credential. Returns "ok" or the reason of the error. */
async function trial(projectId: string, secret: string): Promise<string> {
  const sessions = sessionsOf({ url: service.url, basic: basicAuthorization(projectId, secret) });
  return sessions.list({ memberId: "m" }).then(() => "ok", reasonOf);
}

const secretForm = /ssk_[\w-]{43}/;

interface Created {
  readonly credential: { readonly id: string; readonly projectId: string; readonly permissions: string[] };
  readonly secret: string;
}

test("project create makes a project and a credential, and prints the secret once", async () => {
  const { status, stdout, stderr } = await run("project", "create", "acme", "--display-name", "Acme");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const [secret = ""] = secretForm.exec(stdout) ?? [];
  expect(await trial("acme", secret)).toBe("ok");
  const { credentials } = await projects.listServiceCredentials({ projectId: "acme" });
  expect(credentials).toHaveLength(1);
  expect(credentials[0]?.permissions).not.toContain("projects.admin");

  const again = await run("project", "create", "acme", "--json");
  expect(again).toMatchObject({ status: 1, stdout: "" });
  const error = { code: "ALREADY_EXISTS", reason: "PROJECT_EXISTS" };
  expect(JSON.parse(again.stderr)).toMatchObject({ error });
});

test("project create --json prints one document of API messages; --secret-out keeps the secret out of it", async () => {
  const file = join(await emptyFolder(), "secret");
  const options = ["--environment", "live", "--permissions", "sessions.read", "--secret-out", file];
  const { status, stdout } = await run("project", "create", "globex", "--json", ...options);
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    project: { id: "globex", environment: "ENVIRONMENT_LIVE" },
    credential: { projectId: "globex", permissions: ["PERMISSION_SESSIONS_READ"] },
    secretFile: file,
  });
  expect(stdout).not.toMatch(secretForm);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await trial("globex", (await readFile(file, "utf8")).trim())).toBe("ok");
});

test("a secret that cannot be written is not created, and a file without a secret is removed", async () => {
  const folder = await emptyFolder();
  const file = join(folder, "secret");
  expect((await run("project", "create", "acme", "--secret-out", file)).status).not.toBe(0);
  await expect(stat(file)).rejects.toThrow("ENOENT");

  const taken = await run("project", "create", "initech", "--secret-out", folder);
  expect(taken.status).toBe(1);
  expect(taken.stderr).toContain("must be a new file");
  await expect(projects.getProject({ id: "initech" })).rejects.toThrow("no such project");
});

test("an unknown permission is refused before the project is created", async () => {
  const { status, stderr } = await run("project", "create", "hooli", "--permissions", "sessions.fly");
  expect(status).toBe(2);
  expect(stderr).toContain("sessions.fly is not a permission; the permissions are sessions.create,");
  await expect(projects.getProject({ id: "hooli" })).rejects.toThrow("no such project");
});

test("project create --no-credential makes only the project", async () => {
  expect((await run("project", "create", "umbrella", "--no-credential")).stdout).toBe("project  umbrella\n");
  const { credentials } = await projects.listServiceCredentials({ projectId: "umbrella" });
  expect(credentials).toEqual([]);
});

interface Page {
  readonly projects: readonly { readonly id: string }[];
  readonly nextPageToken: string;
}

test("project list reads pages up to --limit and continues with --page-token", async () => {
  const ids = ["page-a", "page-b", "page-c"];
  for (const id of ids) await projects.createProject({ id, displayName: `\u001b[31m${id}` });
  const rows = rowsOf((await run("project", "list")).stdout);
  expect(rows.map(({ id }) => id)).toEqual(expect.arrayContaining(ids));
  expect(rows.find(({ id }) => id === "page-a")?.["name"]).toBe("\\u001b[31mpage-a");

  const list = (...options: string[]) => jsonOf<Page>(run("project", "list", "--json", ...options));
  const all = await list();
  expect(all.nextPageToken).toBe("");
  const first = await list("--limit", "2");
  expect(first.projects).toEqual(all.projects.slice(0, 2));
  const next = ["--page-token", first.nextPageToken];
  expect((await list(...next)).projects).toEqual(all.projects.slice(2));
  expect((await run("project", "list", "--limit", "2")).stdout).toContain(next.join(" "));
});

test("project disable refuses the project's credentials from then on", async () => {
  const { secret } = await jsonOf<Created>(run("project", "create", "doomed", "--json"));
  expect(await trial("doomed", secret)).toBe("ok");
  const { status, stdout } = await run("project", "disable", "doomed", "--yes");
  expect(status).toBe(0);
  expect(stdout).toMatch(/^project +doomed\ndisabled +\d{4}-/);
  expect(await trial("doomed", secret)).toBe("PROJECT_DISABLED");
  expect((await run("project", "disable", "no-such", "--yes")).status).toBe(3);
});

test("credential create, list and disable, for the calling project and for another", async () => {
  const permissions = ["--permissions", "sessions.read, sessions.revoke"];
  const own = await jsonOf<Created>(run("credential", "create", ...permissions, "--json"));
  const granted = ["PERMISSION_SESSIONS_READ", "PERMISSION_SESSIONS_REVOKE"];
  expect(own.credential).toMatchObject({ projectId: service.projectId, permissions: granted });
  await projects.createProject({ id: "other" });
  const args = ["--project", "other", "--display-name", "Reader", "--permissions", "sessions.read"];
  const created = await run("credential", "create", ...args);
  const [secret = ""] = secretForm.exec(created.stdout) ?? [];
  expect(await trial("other", secret)).toBe("ok");

  const list = await run("credential", "list", "--project", "other");
  expect(list.stdout).not.toMatch(secretForm);
  const [row] = rowsOf(list.stdout);
  expect(row).toMatchObject({ name: "Reader", permissions: "sessions.read", disabled: "" });

  const id = row?.["id"] ?? "";
  const disabled = await jsonOf(run("credential", "disable", id, "--project", "other", "--yes", "--json"));
  expect(disabled).toMatchObject({ credential: { id, disableTime: expect.any(String) } });
  expect(await trial("other", secret)).toBe("CREDENTIAL_INVALID");
  expect((await run("credential", "disable", own.credential.id, "--project", "other", "--yes")).status).toBe(
    3,
  );
});

/** A project with one credential. */
async function projectWithCredential(projectId: string, permissions: Permission[]) {
  await projects.createProject({ id: projectId });
  const request = { projectId, displayName: "Login", permissions };
  const { credential, secret } = await projects.createServiceCredential(request);
  return { id: credential?.id ?? "", secret };
}

test("credential rotate creates one with the same permissions, and disables the old one", async () => {
  const permissions = ["PERMISSION_SESSIONS_CREATE", "PERMISSION_SESSIONS_READ"];
  const { id, secret } = await projectWithCredential("rotating", [
    Permission.SESSIONS_CREATE,
    Permission.SESSIONS_READ,
  ]);
  const rotate = ["credential", "rotate", id, "--project", "rotating", "--json"];

  const kept = await run(...rotate, "--keep-old");
  const first = JSON.parse(kept.stdout) as Created;
  expect(first).toMatchObject({ credential: { displayName: "Login", permissions }, replacedId: id });
  expect(kept.stderr).toContain(`sessiond credential disable ${id} --project rotating`);
  expect(await trial("rotating", secret)).toBe("ok");

  const second = await jsonOf<Created>(run(...rotate));
  expect(await trial("rotating", first.secret)).toBe("ok");
  expect(await trial("rotating", second.secret)).toBe("ok");
  expect(await trial("rotating", secret)).toBe("CREDENTIAL_INVALID");

  const again = await run(...rotate);
  expect(again.status).toBe(1);
  expect(again.stderr).toContain("is disabled");
  expect((await run("credential", "rotate", second.credential.id, "--json")).status).toBe(3);
  const { credentials } = await projects.listServiceCredentials({ projectId: "rotating" });
  expect(credentials).toHaveLength(3);
});

test("credential rotate refuses a credential with the names of client certificates", async () => {
  await projects.createProject({ id: "mesh" });
  const names = ["--certificate-names", "spiffe://prod.example/orders, orders.mesh.svc"];
  const create = ["credential", "create", "--project", "mesh", "--permissions", "sessions.read", "--json"];
  const { credential } = await jsonOf<Created>(run(...create, ...names));
  const certificateNames = ["spiffe://prod.example/orders", "orders.mesh.svc"];
  expect(credential).toMatchObject({ certificateNames });
  const list = await run("credential", "list", "--project", "mesh");
  expect(rowsOf(list.stdout)[0]?.["certificates"]).toBe(certificateNames.join(","));

  const rotated = await run("credential", "rotate", credential.id, "--project", "mesh");
  expect(rotated).toMatchObject({ status: 1, stdout: "" });
  expect(rotated.stderr).toContain(`sessiond credential disable ${credential.id} --project mesh`);
  const { credentials } = await projects.listServiceCredentials({ projectId: "mesh" });
  expect(credentials).toMatchObject([{ id: credential.id, certificateNames }]);
  expect(credentials[0]?.disableTime).toBeUndefined();
});

test.runIf(process.platform === "linux")(
  "credential rotate leaves the old one enabled if the new secret cannot be written",
  async () => {
    const { id, secret } = await projectWithCredential("careful", [Permission.SESSIONS_READ]);
    const rotate = ["credential", "rotate", id, "--project", "careful"];
    // Every write to /dev/full fails.
    const { status, stderr } = await sessiondInBash(`exec "$@" > /dev/full`, rotate, environment);
    expect(status).toBe(1);
    expect(stderr).toContain("its secret could not be written: disable it by `sessiond credential disable ");
    expect(stderr).toContain("ENOSPC");
    expect(await trial("careful", secret)).toBe("ok");
  },
);
