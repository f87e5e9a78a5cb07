import type { DescMethod } from "@bufbuild/protobuf";
import { pino } from "pino";
import { beforeAll, describe, expect, test } from "vitest";
import type { AccessTable } from "../../../src/auth/access.ts";
import { type Permission, permissions } from "../../../src/domain/project.ts";
import { type AssemblyOptions, assemble } from "../../../src/server/assemble.ts";
import { readConfig } from "../../../src/server/config/config.ts";
import { nameOf, restRoutes, rpcMethods } from "./surface.ts";
import { type Answer, attackTarget } from "./target.ts";

const target = attackTarget();
const access = accessTable();

/** Headers of each kind of caller. */
interface Callers {
  readonly refused: Record<string, Record<string, string>>;
  readonly services: Map<Permission, Record<string, string>>;
  readonly member: () => Promise<Record<string, string>>;
}
let callers: Callers;

beforeAll(async () => {
  const disabled = await target.createCredential("home", permissions);
  await target.call("ProjectService/DisableServiceCredential", { projectId: "home", id: disabled.id });
  const gone = await target.createTenant("gone");
  const stranded = await target.createSession({ memberId: "alice" }, gone);
  await target.call("ProjectService/DisableProject", { id: "gone" });
  const revoked = await target.createSession();
  await target.call("SessionService/Revoke", { id: revoked.id });
  const services = new Map<Permission, Record<string, string>>();
  for (const permission of permissions) {
    const { secret } = await target.createCredential("home", [permission]);
    services.set(permission, { authorization: target.basic("home", secret) });
  }
  callers = {
    refused: {
      "no credential": {},
      "a wrong secret": { authorization: target.basic("home", "wrong-secret-of-nobody") },
      "a secret of another project": { authorization: target.basic("home", target.foreign.secret) },
      "a disabled credential": { authorization: target.basic("home", disabled.secret) },
      "a credential of a disabled project": { authorization: gone.basic },
      "a session of a disabled project": { authorization: `Bearer ${stranded.token}` },
      "a JWT of a disabled project": { authorization: `Bearer ${stranded.jwt}` },
      "a revoked session": { authorization: `Bearer ${revoked.token}` },
      "a JWT of a revoked session": { authorization: `Bearer ${revoked.jwt}` },
    },
    services,
    member: async () => ({
      authorization: `Bearer ${(await target.createSession({ memberId: "bob" })).token}`,
    }),
  };
});

/** Every method with a way to call it; the message names nothing, so that nothing happens. */
const ways: [name: string, method: DescMethod, call: (headers: Record<string, string>) => Promise<Answer>][] =
  [
    ...rpcMethods.map((method): (typeof ways)[number] => [
      `Connect ${nameOf(method)}`,
      method,
      (headers) => target.send("POST", `/${nameOf(method)}`, { headers, body: {} }),
    ]),
    ...restRoutes.map((route): (typeof ways)[number] => [
      `${route.httpMethod} ${route.template}`,
      route.method,
      (headers) =>
        target.send(route.httpMethod, route.path("%7E"), {
          headers,
          body: route.httpMethod === "GET" ? undefined : {},
        }),
    ]),
  ];

describe.each(ways)("%s", (_, method, call) => {
  const needed = access.of(method);
  const isOnlyForEndUsers = needed !== "public" && needed.service === undefined;
  /** The Stytch APIs look for nothing but Basic. */
  const takesBearer = !method.parent.typeName.includes("stytch");

  test("refuses who is nobody", async () => {
    const expected = needed === "public" ? "let in" : "unauthenticated";
    for (const [who, headers] of Object.entries(callers.refused)) {
      expect([who, verdictOf(await call(headers))]).toEqual([who, expected]);
    }
  });

  test("lets services in by their permission and no other", async () => {
    const denied = isOnlyForEndUsers ? "unauthenticated" : "denied";
    for (const [permission, headers] of callers.services) {
      const isLetIn = needed === "public" || needed.service === permission;
      expect([permission, verdictOf(await call(headers))]).toEqual([permission, isLetIn ? "let in" : denied]);
    }
  });

  test("lets end users in where it is for them", async () => {
    const isLetIn = needed === "public" || (needed.member === true && takesBearer);
    const otherwise = takesBearer ? "denied" : "unauthenticated";
    expect(verdictOf(await call(await callers.member()))).toBe(isLetIn ? "let in" : otherwise);
  });
});

function verdictOf({ status }: Answer): string {
  if (status >= 500) return "failed";
  if (status === 401) return "unauthenticated";
  return status === 403 ? "denied" : "let in";
}

test("the member session beside a service takes nothing from the permission that the service needs", async () => {
  const { token, id } = await target.createSession({ memberId: "carol" });
  const call = (permission: Permission, headers: Record<string, string>) =>
    target.send("POST", "/v1/b2b/sessions/revoke", {
      headers: { ...callers.services.get(permission), ...headers },
      body: { member_session_id: id },
    });
  const member = { "x-stytch-member-session": token };
  for (const permission of permissions.filter((one) => one !== "sessions.revoke")) {
    expect(await call(permission, member)).toMatchObject({ status: 403 });
  }
  const strangers = await target.createSession({ memberId: "carol" }, target.foreign);
  for (const value of [strangers.token, "sst_nothing", "x"]) {
    expect(await call("sessions.revoke", { "x-stytch-member-session": value })).toMatchObject({
      status: 401,
    });
  }
  expect(await call("sessions.revoke", member)).toMatchObject({ status: 200 });
});

/** The table of the assembled service. Nothing is called, so nothing needs to be there. */
function accessTable(): AccessTable {
  const read = readConfig({});
  if ("problems" in read) throw new Error("the defaults are wrong");
  return assemble({
    config: read.config,
    deps: {} as AssemblyOptions["deps"],
    feeds: {} as AssemblyOptions["feeds"],
    log: pino({ level: "silent" }),
    shutdownSignal: new AbortController().signal,
  }).access;
}
