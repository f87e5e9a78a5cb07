import type { Sessiond } from "../../../src/client/client.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import type { Deployment } from "../chaos/processes/deployment.ts";
import {
  Environment,
  Permission,
  SessionLimitAction,
  TokenReuseAction,
} from "../../../gen/session/v1/project_pb.ts";

/** Text that needs UTF-8. */
const words = "Ærøskøbing 日本 🙂";

/** Makes the calls of both services, with text in several scripts. Returns a line per wrong answer. */
export async function everyCall({ sessions, projects }: Sessiond, projectId: string): Promise<string[]> {
  const problems: string[] = [];
  const attempt = async <T>(what: string, call: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await call();
    } catch (error) {
      problems.push(`${what}: ${String(error)}`);
      return undefined;
    }
  };
  const refused = async (what: string, reason: string, call: () => Promise<unknown>) => {
    const answer = await call().then(
      () => "no error",
      (error: unknown) => errorInfoOf(error)?.reason ?? String(error),
    );
    if (answer !== reason) problems.push(`${what}: ${answer} instead of ${reason}`);
  };
  const member = `member ${words}`;
  const login = async () => {
    const created = await attempt("Create", () =>
      sessions.create({
        memberId: member,
        organizationId: "organization",
        roles: ["a", words],
        customClaims: { words, nested: { list: [1, null, "x"] } },
        device: { userAgent: words, ipAddress: "192.0.2.7" },
      }),
    );
    const { session, token = "", jwt = "" } = created ?? {};
    return { id: session?.id ?? "", token, jwt };
  };
  const byToken = (value: string) => sessions.authenticate({ credential: { case: "token", value } });

  const one = await login();
  const seen = await attempt("Authenticate", () => byToken(one.token));
  if (seen?.session?.memberId !== member) problems.push(`the member is ${seen?.session?.memberId}`);
  if (seen?.session?.customClaims?.["words"] !== words) problems.push("a claim comes back changed");
  await attempt("Authenticate by JWT", () =>
    sessions.authenticate({ credential: { case: "jwt", value: one.jwt } }),
  );
  await attempt("Get", () => sessions.get({ id: one.id }));
  const listed = await attempt("List", () => sessions.list({ memberId: member }));
  if (listed?.sessions.every(({ id }) => id !== one.id) ?? true) problems.push("List lacks the session");
  await attempt("Extend", () => sessions.extend({ id: one.id, lifetime: { seconds: 7200n, nanos: 0 } }));
  const rotated = await attempt("RotateToken", () => sessions.rotateToken({ token: one.token }));
  await attempt("Authenticate after rotation", () => byToken(rotated?.token ?? ""));
  await attempt("Revoke", () =>
    sessions.revoke({ target: { case: "id", value: one.id }, reason: words, countRevoked: true }),
  );
  await refused("Authenticate after Revoke", "SESSION_REVOKED", () => byToken(rotated?.token ?? ""));
  await attempt("Revoke again", () => sessions.revoke({ target: { case: "id", value: one.id } }));
  for (const scope of scopes(member)) {
    const session = await login();
    await attempt(`RevokeAll ${scope.case}, validate_only`, () =>
      sessions.revokeAll({ scope, validateOnly: true }),
    );
    await attempt(`RevokeAll ${scope.case}`, () => sessions.revokeAll({ scope, countRevoked: true }));
    await refused(`Authenticate after RevokeAll ${scope.case}`, "SESSION_REVOKED_BY_CUTOFF", () =>
      byToken(session.token),
    );
  }
  const log = await attempt("ListRevocations", () => sessions.listRevocations({ memberId: member }));
  if (log?.revocations.every(({ reason }) => reason !== words) ?? true) {
    problems.push("ListRevocations lacks the reason");
  }
  await limit(sessions, projects, projectId, attempt, login);
  return [...problems, ...(await projectCalls(projects, attempt))];
}

type Attempt = <T>(what: string, call: () => Promise<T>) => Promise<T | undefined>;

function scopes(member: string) {
  return [
    { case: "memberId", value: member },
    { case: "organizationId", value: "organization" },
    { case: "project", value: {} },
  ] as const;
}

/** Creation within a limit takes a lock per member. */
async function limit(
  sessions: Sessiond["sessions"],
  projects: Sessiond["projects"],
  projectId: string,
  attempt: Attempt,
  login: () => Promise<unknown>,
): Promise<void> {
  const update = (maxSessionsPerMember: number) =>
    attempt("UpdatePolicy", () =>
      projects.updatePolicy({
        projectId,
        policy: {
          maxSessionsPerMember,
          sessionLimitAction: SessionLimitAction.END_OLDEST,
          tokenReuseAction: TokenReuseAction.REVOKE,
        },
      }),
    );
  await update(2);
  await Promise.all([login(), login(), login()]);
  await attempt("List within a limit", () => sessions.list({ organizationId: "organization" }));
  await update(1000);
}

/** The calls on a project of their own. */
async function projectCalls(projects: Sessiond["projects"], attempt: Attempt): Promise<string[]> {
  const projectId = `project-${Date.now().toString(36)}`;
  await attempt("CreateProject", () =>
    projects.createProject({ id: projectId, displayName: words, environment: Environment.TEST }),
  );
  const { project } = (await attempt("GetProject", () => projects.getProject({ id: projectId }))) ?? {};
  await attempt("ListProjects", () => projects.listProjects({}));
  const created = await attempt("CreateServiceCredential", () =>
    projects.createServiceCredential({
      projectId,
      displayName: words,
      permissions: [Permission.SESSIONS_READ],
      certificateNames: [`${projectId}.example`],
    }),
  );
  await attempt("ListServiceCredentials", () => projects.listServiceCredentials({ projectId }));
  const id = created?.credential?.id ?? "";
  await attempt("DisableServiceCredential", () => projects.disableServiceCredential({ projectId, id }));
  await attempt("RotateSigningKey", () => projects.rotateSigningKey({ projectId }));
  const keys = await attempt("ListSigningKeys", () => projects.listSigningKeys({ projectId }));
  const kid = keys?.signingKeys[0]?.kid ?? "";
  await attempt("RevokeSigningKey", () => projects.revokeSigningKey({ projectId, kid }));
  await attempt("GetJwks", () => projects.getJwks({ projectId }));
  await attempt("DisableProject", () => projects.disableProject({ id: projectId }));
  return project?.displayName === words ? [] : ["the name of a project comes back changed"];
}

/** The same at each replica of a deployment. */
export async function everyCallOf({ replicas, options }: Deployment): Promise<string[]> {
  const problems: string[] = [];
  for (const replica of replicas) {
    problems.push(...(await everyCall(replica.client(30_000), options.projectId)));
  }
  return problems;
}
