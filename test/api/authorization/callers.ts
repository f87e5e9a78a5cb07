import type { Permission } from "../../../src/domain/project.ts";
import type { Certified } from "../../support/process/certificates.ts";
import { basicAuthorization } from "../../support/fixtures/running-service.ts";
import { type Named, grantedRole } from "./stage.ts";
import type { World } from "./world.ts";

/** Credentials of a call. */
export interface Credential {
  readonly headers: Readonly<Record<string, string>>;
  /** Client certificate of the connection. */
  readonly certificate?: Certified;
}

/** Every kind of caller. A new one needs a line in every section of authorization.txt. */
export const callers: Readonly<Record<string, (world: World) => Promise<Credential>>> = {
  nobody: async () => by({}),
  "malformed credential": async () => by({ authorization: "Basic !" }),
  "service of an unknown project": async () => service("project-unknown", "a-wrong-secret"),
  "service with a wrong secret": async ({ home }) => service(home.id, "a-wrong-secret"),
  "service with another project's secret": async ({ home, abroad }) => service(home.id, abroad.secret),
  "disabled service": async (world) => service(world.home.id, await world.disabledService()),
  "service of a disabled project": async (world) => by((await world.disabledProject()).tenant.headers),
  "unknown certificate": async ({ stage }) => ({
    headers: {},
    certificate: stage.callers.issue({ names: ["DNS:unknown.example"] }),
  }),

  "service create": (world) => serviceOf(world, "sessions.create"),
  "service read": (world) => serviceOf(world, "sessions.read"),
  "service authenticate": (world) => serviceOf(world, "sessions.authenticate"),
  "service revoke": (world) => serviceOf(world, "sessions.revoke"),
  "service revoke_all": (world) => serviceOf(world, "sessions.revoke_all"),
  "service watch": (world) => serviceOf(world, "revocations.watch"),
  operator: (world) => serviceOf(world, "projects.admin"),
  "service all": async ({ home }) => by(home.headers),
  "certificate all": async (world) => ({ headers: {}, certificate: await world.certificate() }),

  "end user": async (world) => bearer((await world.caller()).token),
  "end user by JWT": async (world) => bearer((await world.caller()).jwt),
  "end user with a grant": async (world) => bearer((await world.caller([grantedRole])).token),
  "revoked end user": async (world) => bearer((await world.revokedCaller()).token),
  "revoked end user by JWT": async (world) => bearer((await world.revokedCaller()).jwt),
  "expired end user": async ({ past }) => bearer(past.expired.token),
  "end user idle for too long": async ({ past }) => bearer(past.idle.token),
  "end user by an expired JWT": async ({ past }) => bearer(past.outlived.jwt),
  "unknown end user": async (world) => bearer((await world.target("unknown").session()).token),
  "end user of a disabled project": async (world) => bearer((await world.disabledProject()).session.token),

  "member session": async (world) => beside(world, "sessions.revoke", await world.caller()),
  "member session by JWT": async (world) => beside(world, "sessions.revoke", await world.caller(), "jwt"),
  "member session with a grant": async (world) =>
    beside(world, "sessions.revoke", await world.caller([grantedRole])),
  "revoked member session": async (world) => beside(world, "sessions.revoke", await world.revokedCaller()),
  "member session of another project": async (world) =>
    beside(world, "sessions.revoke", await world.target("foreign").session()),
  "member session beside service read": async (world) => beside(world, "sessions.read", await world.caller()),
};

function by(headers: Credential["headers"]): Credential {
  return { headers };
}

function bearer(text: string): Credential {
  return by({ authorization: `Bearer ${text}` });
}

function service(projectId: string, secret: string): Credential {
  return by({ authorization: basicAuthorization(projectId, secret) });
}

async function serviceOf(world: World, permission: Permission): Promise<Credential> {
  return service(world.home.id, await world.service(permission));
}

/** A service with a member session, which only Stytch's B2B API reads. */
async function beside(
  world: World,
  permission: Permission,
  member: Named,
  form: "" | "jwt" = "",
): Promise<Credential> {
  const { headers } = await serviceOf(world, permission);
  return by({ ...headers, [`x-stytch-member-session${form}`]: form === "" ? member.token : member.jwt });
}
