import type { JsonObject } from "@bufbuild/protobuf";
import type { Target, TargetKind, World } from "./world.ts";

/** A way to call a method by the fields that name its target. */
export interface Request {
  /** `package.Service/Method by <fields that name something>` */
  readonly name: string;
  /** The targets to call it for; one of each kind. */
  readonly targets: readonly TargetKind[];
  readonly message: (target: Target, world: World) => JsonObject | Promise<JsonObject>;
  /** If it succeeds, the project cannot be used for other calls. */
  readonly spoilsProject?: true;
  /** It succeeds for the targets of others too, without an effect. */
  readonly isMute?: true;
}

const everySession = ["own", "colleague's", "stranger's", "foreign", "unknown"] as const;
/** A request cannot name a member or an organization of another project. */
const everyMember = ["own", "colleague's", "stranger's", "unknown"] as const;
const everyProject = ["own", "foreign", "unknown"] as const;
const everyPart = ["own", "foreign", "misplaced", "unknown"] as const;
const none = ["own"] as const;

const own = "session.v1.SessionService";
const projects = "session.v1.ProjectService";
const stytch = "compat.stytch.v1.SessionService";
const b2b = "compat.stytch_b2b.v1.SessionService";

/** Every way to call every method. A test fails if a method or a field that names something is missing. */
export const requests: readonly Request[] = [
  {
    name: `${own}/Create by member_id, organization_id`,
    targets: everyMember,
    message: ({ member, organization }) => ({ member_id: member, organization_id: organization }),
  },
  ...bySession(`${own}/Authenticate`, { token: "token", jwt: "jwt" }),
  ...bySession(`${own}/Get`, { id: "id" }),
  { name: `${own}/List`, targets: none, message: () => ({}) },
  ...byMember(`${own}/List`),
  ...byOrganization(`${own}/List`),
  ...bySession(`${own}/Extend`, { id: "id" }),
  ...bySession(`${own}/RotateToken`, { token: "token" }),
  ...bySession(`${own}/Revoke`, { id: "id", token: "token", jwt: "jwt" }),
  ...byMember(`${own}/Revoke`),
  { name: `${own}/RevokeAll by self`, targets: none, message: () => ({ self: {} }) },
  ...byMember(`${own}/RevokeAll`),
  ...byOrganization(`${own}/RevokeAll`),
  {
    name: `${own}/RevokeAll by project`,
    targets: none,
    message: () => ({ project: {} }),
    spoilsProject: true,
  },
  {
    name: `${own}/RevokeAll by self, except_session_id`,
    targets: everySession,
    message: async (target) => ({ self: {}, except_session_id: (await target.session()).id }),
  },
  {
    name: `${own}/RevokeAll by member_id, except_session_id`,
    targets: everySession,
    message: async (target, world) => ({
      member_id: world.target("own").member,
      except_session_id: (await target.session()).id,
    }),
  },
  { name: `${own}/ListRevocations`, targets: none, message: () => ({}) },
  {
    name: `${own}/ListRevocations by target_id`,
    targets: everySession,
    message: async (target) => ({
      scope: "REVOCATION_SCOPE_SESSION",
      target_id: (await target.session()).id,
    }),
  },
  ...byMember(`${own}/ListRevocations`),
  { name: `${own}/WatchRevocations`, targets: none, message: () => ({ heartbeat: "0.1s" }) },

  {
    name: `${projects}/CreateProject by id`,
    targets: everyProject,
    message: ({ project }) => ({ id: project === "project-unknown" ? `new-${Math.random()}` : project }),
  },
  ...byProject(`${projects}/GetProject`, "id"),
  { name: `${projects}/ListProjects`, targets: none, message: () => ({}) },
  {
    name: `${projects}/UpdateProject by project.id`,
    targets: everyProject,
    message: ({ project }) => ({ project: { id: project, display_name: "New" } }),
  },
  ...byProject(`${projects}/UpdatePolicy`, "project_id", { policy: { jwt_lifetime: "60s" } }, true),
  ...byProject(`${projects}/DisableProject`, "id", {}, true),
  ...byProject(`${projects}/CreateServiceCredential`, "project_id", {
    permissions: ["PERMISSION_SESSIONS_READ"],
  }),
  ...byProject(`${projects}/ListServiceCredentials`, "project_id"),
  {
    name: `${projects}/DisableServiceCredential by project_id, id`,
    targets: everyPart,
    message: async (target) => ({ project_id: target.projectOfPart, id: await target.credential() }),
  },
  ...byProject(`${projects}/ListSigningKeys`, "project_id"),
  ...byProject(`${projects}/RotateSigningKey`, "project_id", {}, true),
  {
    name: `${projects}/RevokeSigningKey by project_id, kid`,
    targets: everyPart,
    message: async (target) => ({ project_id: target.projectOfPart, kid: await target.signingKey() }),
    spoilsProject: true,
  },
  ...byProject(`${projects}/GetJwks`, "project_id"),

  { name: "grpc.health.v1.Health/Check", targets: none, message: () => ({}) },
  { name: "grpc.health.v1.Health/List", targets: none, message: () => ({}) },
  { name: "grpc.health.v1.Health/Watch", targets: none, message: () => ({}) },
  {
    name: "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    targets: none,
    message: () => ({ list_services: "" }),
  },
  {
    name: "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    targets: none,
    message: () => ({ list_services: "" }),
  },

  ...bySession("compat.flashback.v1.SessionService/Revoke", { id: "id" }),
  { name: "compat.flashback.v1.SessionService/RevokeAll", targets: none, message: () => ({}) },
  ...bySession(`${stytch}/Revoke`, { session_id: "id", session_token: "token", session_jwt: "jwt" }),
  ...byProject(`${stytch}/GetJwks`, "project_id"),
  ...bySession(`${b2b}/Revoke`, { member_session_id: "id", session_token: "token", session_jwt: "jwt" }),
  ...byMember(`${b2b}/Revoke`),
  ...byProject(`${b2b}/GetJwks`, "project_id"),
  ...bySession("compat.kratos.v1.SessionService/DisableMySession", { id: "id" }).map((request) => ({
    ...request,
    isMute: true as const,
  })),
];

/** By each of these fields, which take what a session is known by. */
function bySession(method: string, fields: Readonly<Record<string, "id" | "token" | "jwt">>): Request[] {
  return Object.entries(fields).map(([field, form]) => ({
    name: `${method} by ${field}`,
    targets: everySession,
    message: async (target) => ({ [field]: (await target.session())[form] }),
  }));
}

function byMember(method: string): Request[] {
  const message = async (target: Target) => {
    await target.session(); // whose has none is unknown
    return { member_id: target.member };
  };
  return [{ name: `${method} by member_id`, targets: everyMember, message }];
}

function byOrganization(method: string): Request[] {
  const message = ({ organization }: Target) => ({ organization_id: organization });
  // A colleague's is the caller's own.
  return [{ name: `${method} by organization_id`, targets: ["own", "stranger's", "unknown"], message }];
}

function byProject(method: string, field: string, more: JsonObject = {}, spoilsProject = false): Request[] {
  const message = ({ project }: Target) => ({ [field]: project, ...more });
  const request = { name: `${method} by ${field}`, targets: everyProject, message };
  return [spoilsProject ? { ...request, spoilsProject } : request];
}
