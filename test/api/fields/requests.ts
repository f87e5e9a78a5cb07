import { randomUUID } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import type { Project } from "../../../gen/session/v1/project_pb.ts";
import { newLogin } from "../../support/fixtures/logins.ts";
import { type RunningService, runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";
import { must } from "../../support/fixtures/stored.ts";

/** A valid request with as many fields as fit together. */
export interface FullRequest {
  readonly method: string;
  /** A new request for each call, in proto names. */
  readonly message: () => Promise<JsonObject>;
  /** An end user calls with this token; otherwise the service does. */
  readonly token?: () => Promise<string>;
  /** Whether one member of each oneof must be set. */
  readonly needsOneof?: true;
  /** Optional fields of which at least one is needed. */
  readonly atLeastOneOf?: readonly string[];
  /** For a field that others need: the others. */
  readonly needed?: Readonly<Record<string, readonly string[]>>;
  /** The stored state of the resource that the request has in this field. */
  readonly resource?: { readonly field: string; readonly read: (id: string) => Promise<Project> };
}

export const service: RunningService = await runningService();
const sessions = sessionsOf(service);
const projects = projectsOf(service);

const why = { cause: "REVOCATION_CAUSE_COMPROMISE", reason: "lost" };
const newId = () => `p-${randomUUID()}`;
const login = () => newLogin(service);

async function newProject(): Promise<string> {
  const id = newId();
  await projects.createProject({ id, displayName: "Shop" });
  return id;
}

async function newCredential(projectId: string): Promise<string> {
  const { credential } = await projects.createServiceCredential({ projectId, permissions: [1] });
  return must(credential).id;
}

async function newKey(projectId: string): Promise<string> {
  return must((await projects.getJwks({ projectId })).keys[0]).kid;
}

const policy = (): JsonObject => ({
  default_lifetime: "3600s",
  max_lifetime: "172800s",
  default_idle_timeout: "600s",
  jwt_lifetime: "60s",
  role_grants: [{ role: "admin", permissions: ["PERMISSION_SESSIONS_READ"] }],
  jwt_profile: "JWT_PROFILE_DEFAULT",
  signature_algorithm: "SIGNATURE_ALGORITHM_EDDSA",
  max_sessions_per_member: 5,
  session_limit_action: "SESSION_LIMIT_ACTION_END_OLDEST",
  token_reuse_action: "TOKEN_REUSE_ACTION_REVOKE",
  token_reuse_leeway: "5s",
});

/** A page of one, and the token of the next one. */
const page = (next: { readonly nextPageToken: string }) => ({ page_size: 1, page_token: next.nextPageToken });
const pageSize = 1;

const revokeBy = (target: () => Promise<JsonObject>, method: string): FullRequest => ({
  method,
  message: async () => ({ ...(await target()), ...why, count_revoked: true }),
  needsOneof: true,
});
const revokeAllBy = (scope: () => Promise<JsonObject>): FullRequest => {
  const request = revokeBy(scope, "RevokeAll");
  const more = { except_session_id: randomUUID(), validate_only: true };
  return { ...request, message: async () => ({ ...(await request.message()), ...more }) };
};
const byToken = async () => ({ token: (await login()).token });
const byJwt = async () => ({ jwt: (await login()).jwt });
const byMember = async () => ({ member_id: (await login()).memberId });

const sessionRequests: readonly FullRequest[] = [
  {
    method: "Create",
    message: async () => ({
      member_id: `m-${randomUUID()}`,
      organization_id: "acme",
      device: { user_agent: "curl/8", ip_address: "192.0.2.1" },
      authentication_factors: [
        {
          method: "password",
          delivery_method: "email",
          assurance_level: "aal1",
          authenticate_time: "2026-01-01T00:00:00Z",
        },
      ],
      roles: ["admin"],
      custom_claims: { plan: "free" },
      lifetime: "3600s",
      idle_timeout: "600s",
      request_id: randomUUID(),
    }),
  },
  ...[byToken, byJwt].map((credential) => ({
    method: "Authenticate",
    message: async () => ({ ...(await credential()), issue_jwt: true }),
    needsOneof: true as const,
  })),
  { method: "Get", message: async () => ({ id: (await login()).id }) },
  {
    method: "List",
    message: async () => {
      const owner = { memberId: `m-${randomUUID()}`, organizationId: "acme" };
      for (let i = 0; i < 2; i++) await newLogin(service, owner);
      const next = await sessions.list({ ...owner, state: 1, pageSize });
      const filters = { member_id: owner.memberId, organization_id: "acme", state: "SESSION_STATE_ACTIVE" };
      return { ...filters, ...page(next) };
    },
    atLeastOneOf: ["member_id", "organization_id"],
  },
  { method: "Extend", message: async () => ({ id: (await login()).id, lifetime: "3600s" }) },
  { method: "RotateToken", message: async () => ({ ...(await byToken()), issue_jwt: true }) },
  ...[async () => ({ id: (await login()).id }), byToken, byJwt, byMember].map((by) => revokeBy(by, "Revoke")),
  { ...revokeAllBy(async () => ({ self: {} })), token: async () => (await login()).token },
  revokeAllBy(byMember),
  revokeAllBy(async () => ({ organization_id: "acme" })),
  revokeAllBy(async () => ({ project: {} })),
  {
    method: "ListRevocations",
    message: async () => ({
      start_time: "2026-01-01T00:00:00Z",
      end_time: "2099-01-01T00:00:00Z",
      actor: `service/${randomUUID()}`,
      scope: "REVOCATION_SCOPE_MEMBER",
      target_id: "ada",
      page_size: 10,
      acting_user: "support@example.com",
      member_id: "ada",
    }),
    needed: { scope: ["target_id"] },
  },
  {
    method: "ListRevocations",
    message: async () => {
      for (let i = 0; i < 2; i++) await sessions.revoke({ target: { case: "memberId", value: "ada" } });
      return page(await sessions.listRevocations({ pageSize }));
    },
  },
  ...[
    async () => ({ after: await position() }),
    async () => ({ oldest: {} }),
    async () => ({ snapshot: {} }),
  ].map((start): FullRequest => ({
    method: "WatchRevocations",
    message: async () => ({ ...(await start()), heartbeat: "0.1s" }),
  })),
];

/** The current position of the log. */
async function position(): Promise<string> {
  const end = new AbortController();
  const stream = sessions.watchRevocations(
    { start: { case: "snapshot", value: {} } },
    { signal: end.signal },
  );
  for await (const message of stream) {
    end.abort();
    return message.position;
  }
  throw new Error("the stream had no message");
}

const projectRequests: readonly FullRequest[] = [
  {
    method: "CreateProject",
    message: async () => ({
      id: newId(),
      display_name: "Shop",
      environment: "ENVIRONMENT_LIVE",
      policy: policy(),
    }),
  },
  { method: "GetProject", message: async () => ({ id: await newProject() }) },
  {
    method: "ListProjects",
    message: async () => {
      await newProject();
      return page(await projects.listProjects({ pageSize }));
    },
  },
  {
    method: "UpdateProject",
    message: async () => ({
      project: { id: await newProject(), display_name: "Store", environment: "ENVIRONMENT_TEST" },
      update_mask: "displayName,environment,createTime,disableTime",
    }),
    resource: { field: "project", read: async (id) => must((await projects.getProject({ id })).project) },
    needed: { "project.environment": ["update_mask"] },
  },
  {
    method: "UpdatePolicy",
    message: async () => ({ project_id: await newProject(), policy: policy(), update_mask: "*" }),
  },
  { method: "DisableProject", message: async () => ({ id: await newProject(), ...why }) },
  {
    method: "CreateServiceCredential",
    message: async () => ({
      project_id: await newProject(),
      display_name: "Login",
      permissions: ["PERMISSION_SESSIONS_READ"],
      certificate_names: [`n${randomUUID()}.example`],
    }),
  },
  {
    method: "ListServiceCredentials",
    message: async () => {
      const projectId = await newProject();
      for (let i = 0; i < 2; i++) await newCredential(projectId);
      return {
        project_id: projectId,
        ...page(await projects.listServiceCredentials({ projectId, pageSize })),
      };
    },
  },
  {
    method: "DisableServiceCredential",
    message: async () => {
      const projectId = await newProject();
      return { project_id: projectId, id: await newCredential(projectId) };
    },
  },
  {
    method: "ListSigningKeys",
    message: async () => {
      const projectId = await newProject();
      await newKey(projectId);
      await projects.rotateSigningKey({ projectId });
      return { project_id: projectId, ...page(await projects.listSigningKeys({ projectId, pageSize })) };
    },
  },
  { method: "RotateSigningKey", message: async () => ({ project_id: await newProject() }) },
  {
    method: "RevokeSigningKey",
    message: async () => {
      const projectId = await newProject();
      return { project_id: projectId, kid: await newKey(projectId), ...why };
    },
  },
  { method: "GetJwks", message: async () => ({ project_id: await newProject() }) },
];

/** Together they set every field that clients may set. A new field needs a place here. */
export const requests: readonly FullRequest[] = [...sessionRequests, ...projectRequests];
