import { beforeEach, expect, test, vi } from "vitest";
import { newSessionId } from "../../../src/domain/ids.ts";
import type { Project } from "../../../src/domain/project.ts";
import { stateOf } from "../../../src/domain/sessions/session.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import { hashSecret, newProjectTag, newSessionToken, parseSessionToken } from "../../../src/domain/token.ts";
import { patience } from "../../support/patience.ts";
import {
  at,
  disableProject,
  hour,
  memberId,
  must,
  newProject,
  newSession,
  organizationId,
  revokeTarget,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import type { Replicas } from "./replicas.ts";

/** Creating, finding, extending and accessing sessions. */
export function sessionContract(replicas: Replicas): void {
  const { create, createWithToken, find, revocationOf, revoke } = replicas;
  let store: PostgresStore;
  let project: Project;

  beforeEach(() => void ({ store, project } = replicas));

  test("finds a session by id and token as it was created", async () => {
    const { session, token } = await createWithToken({
      organizationId: organizationId('Ångström, "O\'Hara" {NULL}\\'),
      idleTimeout: 1234,
      device: { userAgent: "Mozilla/5.0 (\u{1f980})", ipAddress: "2001:db8::1" },
      authenticationFactors: [
        { method: "password", deliveryMethod: "knowledge", assuranceLevel: "aal1", authenticateTime: at(-5) },
      ],
      roles: ["admin", "NULL", "a,b", '"', "{}", "\\"],
      customClaims: { plan: "gold", nested: { list: [1, null, true, 0.5], "": "" } },
    });
    expect(session.createdRevision).toBe(0);
    expect(session.revocation).toBeUndefined();
    expect(await find(session.id)).toEqual(session);
    expect(await store.sessions.findSession(project.id, session.id)).toEqual(session);
    expect(await store.sessions.findSessionByToken(token)).toEqual({ session, replaced: undefined });
  });

  test("finds nothing for unknown ids and tokens", async () => {
    expect(await find(newSessionId())).toBeUndefined();
    for (const tag of [project.tag, newProjectTag()]) {
      const unknown = must(parseSessionToken(newSessionToken(tag)));
      expect(await store.sessions.findSessionByToken(unknown)).toBeUndefined();
    }
  });

  test("finds a session's owner by id and token of its project only, active or not", async () => {
    const acme = organizationId("acme");
    const drafts = [{ memberId: memberId("ada"), organizationId: acme }, { memberId: memberId("bob") }];
    const stored = await Promise.all(drafts.map(createWithToken));
    const other = await storedProject(store);
    const ownersIn = ({ id }: Project) =>
      Promise.all(
        stored.flatMap(({ session, token }) => [
          store.sessions.findOwner(id, { scope: "session", id: session.id }),
          store.sessions.findOwner(id, { scope: "session", token }),
        ]),
      );
    const owners = stored.flatMap(({ session: { id, memberId, organizationId } }) => {
      const owner = { id, memberId, organizationId };
      return [owner, owner];
    });
    expect(await ownersIn(project)).toEqual(owners);
    expect(await ownersIn(other)).toEqual([undefined, undefined, undefined, undefined]);
    await revoke(must(stored[0]).session);
    await revoke({ scope: "member", id: memberId("bob") });
    expect(await ownersIn(project)).toEqual(owners);
  });

  test("creates no session in a missing or disabled project", async () => {
    const hash = hashSecret("a secret");
    expect(await store.sessions.createSession(newSession(newProject()), hash)).toBeUndefined();
    await disableProject(store, project, at(0));
    const session = newSession(project);
    expect(await store.sessions.createSession(session, hash)).toBeUndefined();
    expect(await find(session.id)).toBeUndefined();
  });

  test("projects with equal ids are separate", async () => {
    const foreign = await storedProject(store);
    const { session, token } = await createWithToken();
    const twin = await storedSession(store, foreign, { id: session.id, expireTime: at(2 * hour) });

    expect(await find(session.id)).toEqual(session);
    expect(await store.sessions.findSession(foreign.id, session.id)).toEqual(twin.session);
    expect(await store.sessions.findSessionByToken({ tag: foreign.tag, hash: token.hash })).toBeUndefined();

    await revokeTarget(store, foreign, { scope: "session", id: session.id });
    await revokeTarget(store, foreign, { scope: "member", id: session.memberId });
    await revokeTarget(store, foreign, { scope: "project" });
    store.sessions.recordAccess(twin.session, at(5000));
    await store.sessions.extendSession(foreign.id, session.id, at(3 * hour), at(0));
    expect(await find(session.id)).toEqual(session);
    expect(await revokeTarget(store, foreign, { scope: "session", token }, { time: at(1) })).toBeUndefined();
    expect(await store.sessions.findSessionByToken(token)).toEqual({ session, replaced: undefined });
  });

  test("extending changes the end and counts as an access", async () => {
    const session = await create({ idleTimeout: hour });
    const extended = await store.sessions.extendSession(project.id, session.id, at(9 * hour), at(1000));
    expect(extended).toEqual({ ...session, expireTime: at(9 * hour), lastAccessTime: at(1000) });
    expect(await find(session.id)).toEqual(extended);
  });

  test("extending never decreases the last access time", async () => {
    const session = await create({ lastAccessTime: at(5000) });
    const extended = await store.sessions.extendSession(project.id, session.id, at(2 * hour), at(1000));
    expect(extended?.lastAccessTime).toEqual(at(5000));
  });

  test("extending to an earlier end changes nothing", async () => {
    const session = await create({ idleTimeout: hour });
    for (const end of [at(hour - 1), at(hour)]) {
      expect(await store.sessions.extendSession(project.id, session.id, end, at(1000))).toEqual(session);
    }
    expect(await find(session.id)).toEqual(session);
  });

  test("only an active session is extended", async () => {
    const session = await create({ idleTimeout: 1000 });
    const extend = (now: number) =>
      store.sessions.extendSession(project.id, session.id, at(9 * hour), at(now));
    expect(await extend(hour)).toBeUndefined();
    expect(await extend(1000)).toBeUndefined();
    expect(await store.sessions.extendSession(project.id, newSessionId(), at(hour), at(0))).toBeUndefined();
    expect(await find(session.id)).toEqual(session);
    expect(await extend(999)).toBeDefined();
  });

  test.for(["session", "member", "organization", "project"] as const)(
    "a session that a revocation of its %s ended is not extended",
    async (scope) => {
      const organization = organizationId("acme");
      const session = await create({ organizationId: organization });
      const ids = { session: session.id, member: session.memberId, organization, project: undefined };
      await revoke({ scope, id: ids[scope] } as never);
      const revocation = await revocationOf(session);
      expect(revocation?.scope).toBe(scope);
      expect(await store.sessions.extendSession(project.id, session.id, at(9 * hour), at(1))).toBeUndefined();
      expect((await find(session.id))?.expireTime).toEqual(at(hour));
    },
  );

  test("records an access soon, and never decreases its time", async () => {
    const session = await create({ idleTimeout: 2000 });
    const untilAccess = (ms: number) =>
      vi.waitUntil(async () => {
        const found = await find(session.id);
        return found?.lastAccessTime.getTime() === at(ms).getTime() && found;
      }, patience);
    store.sessions.recordAccess(session, at(1500));
    store.sessions.recordAccess(session, at(700));
    const noted = await untilAccess(1500);
    expect(noted).toEqual({ ...session, lastAccessTime: at(1500) });
    expect(stateOf(noted, at(3499))).toBe("active");
    expect(stateOf(noted, at(3500))).toBe("idle_expired");
    store.sessions.recordAccess(session, at(100));
    store.sessions.recordAccess(session, at(1600));
    await untilAccess(1600);
  });
}
