import { describe, expect, test } from "vitest";
import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf } from "../../support/fixtures/service-clients.ts";
import { must } from "../../support/fixtures/stored.ts";
import { callerOf, onTerminal, sessiond } from "./command-process.ts";

const service = await runningService();
const environment = callerOf(service);
const projects = projectsOf(service);
const run = (...args: string[]) => sessiond(args, { environment });

/** A command that cannot be undone, its question, and whether it took effect. */
interface Irreversible {
  readonly args: readonly string[];
  readonly question: string;
  readonly isDone: () => Promise<boolean>;
}

const commands: Readonly<Record<string, () => Promise<Irreversible>>> = {
  "project disable": async () => {
    const id = `p-${Math.random()}`;
    await projects.createProject({ id });
    return {
      args: ["project", "disable", id],
      question: `Refuse every credential, token and JWT of project ${id}, permanently? [y/N]`,
      isDone: async () => (await projects.getProject({ id })).project?.disableTime !== undefined,
    };
  },
  "credential disable": async () => {
    const { projectId } = service;
    const created = await projects.createServiceCredential({
      projectId,
      permissions: [Permission.SESSIONS_READ],
    });
    const { id } = must(created.credential);
    return {
      args: ["credential", "disable", id],
      question: `Refuse credential ${id} of project ${projectId}, permanently? [y/N]`,
      isDone: async () => {
        const { credentials } = await projects.listServiceCredentials({ projectId, pageSize: 1000 });
        return credentials.find((one) => one.id === id)?.disableTime !== undefined;
      },
    };
  },
  "keys revoke": async () => {
    const { projectId } = service;
    const { kid } = must((await projects.getJwks({ projectId })).keys[0]);
    return {
      args: ["keys", "revoke", kid],
      question: `Refuse every JWT that key ${kid} of project ${projectId} signed, permanently? [y/N]`,
      isDone: async () => {
        const { signingKeys } = await projects.listSigningKeys({ projectId });
        return signingKeys.find((one) => one.kid === kid)?.revokeTime !== undefined;
      },
    };
  },
  "sessions revoke-all --member": () => revokingAll("--member", "ada", "End 1 session of member ada? [y/N]"),
  "sessions revoke-all --project": () =>
    revokingAll("--project", undefined, `project ${service.projectId}, which logs everyone out? [y/N]`),
};

async function revokingAll(scope: string, id: string | undefined, question: string): Promise<Irreversible> {
  const login = await newLogin(service, { memberId: "ada" });
  const args = ["sessions", "revoke-all", scope, ...(id === undefined ? [] : [id])];
  return { args, question, isDone: async () => (await verdictOn(service, login)) !== "active" };
}

describe.each(Object.entries(commands))("%s", (_, prepare) => {
  test("is refused without a terminal, and done with --yes", async () => {
    const { args, isDone } = await prepare();
    const { status, stdout, stderr } = await run(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain("add --yes");
    const json = await run(...args, "--json");
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: "USAGE", reason: "" } });
    expect(await isDone()).toBe(false);
    expect((await run(...args, "--yes")).status).toBe(0);
    expect(await isDone()).toBe(true);
  });

  test.runIf(process.platform === "linux")("asks on a terminal", async () => {
    const { args, question, isDone } = await prepare();
    const refused = await onTerminal(args, "n\n", environment);
    expect(refused.status).toBe(1);
    expect(refused.stdout).toContain(question);
    expect(await isDone()).toBe(false);
    expect((await onTerminal(args, "y\n", environment)).status).toBe(0);
    expect(await isDone()).toBe(true);
  });
});

test("a dry run needs no confirmation", async () => {
  expect((await run("sessions", "revoke-all", "--project", "--dry-run")).status).toBe(0);
});
