import { beforeEach, expect, test } from "vitest";
import type { SessionId } from "../../../src/domain/ids.ts";
import type { Project } from "../../../src/domain/project.ts";
import { type SessionState, stateOf } from "../../../src/domain/sessions/session.ts";
import type { SessionQuery } from "../../../src/domain/store/session-store.ts";
import type { CutoffTarget } from "../../../src/domain/revocation.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import {
  at,
  hour,
  memberId,
  organizationId,
  sessionQuery,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import type { Replicas } from "./replicas.ts";

/** Lists, pages, counts and membership. */
export function listContract(replicas: Replicas): void {
  const { create, revoke } = replicas;
  const ada = memberId("ada");
  const bob = memberId("bob");
  const acme = organizationId("acme");
  let store: PostgresStore;
  let project: Project;

  beforeEach(() => void ({ store, project } = replicas));

  const list = (query: Partial<SessionQuery>) => store.sessions.listSessions(sessionQuery(project, query));

  test("lists by member, by organization and by both, newest first", async () => {
    const first = await create({ memberId: ada });
    const second = await create({ memberId: ada, organizationId: acme });
    const third = await create({ memberId: bob, organizationId: acme });
    const foreign = await storedProject(store);
    await storedSession(store, foreign, { memberId: ada, organizationId: acme });

    expect(await list({ memberId: ada })).toEqual([second, first]);
    expect(await list({ organizationId: acme })).toEqual([third, second]);
    expect(await list({ memberId: ada, organizationId: acme })).toEqual([second]);
    expect(await list({ memberId: memberId("nobody") })).toEqual([]);
  });

  test("pages through without gaps or repetition, with one row more than a page", async () => {
    const ids: SessionId[] = [];
    for (let i = 0; i < 5; i++) ids.unshift((await create()).id);
    const page = async (size: number, after: SessionId | undefined) =>
      (await list({ memberId: ada, page: { size, after } })).map(({ id }) => id);
    expect(await page(2, undefined)).toEqual(ids.slice(0, 3));
    expect(await page(2, ids[1])).toEqual(ids.slice(2, 5));
    expect(await page(2, ids[3])).toEqual(ids.slice(4));
    expect(await page(5, undefined)).toEqual(ids);
    expect(await page(2, ids[4])).toEqual([]);
  });

  test("lists and counts use the domain's states, and revoked sessions have their revocations", async () => {
    const endings = { expireTime: at(1000), organizationId: acme };
    await create(endings);
    await create({ organizationId: acme, idleTimeout: 500 });
    await create({ organizationId: acme });
    const named = await create(endings);
    await create({ ...endings, memberId: bob });
    await revoke(named);
    await revoke({ scope: "member", id: bob });

    const all = await list({ organizationId: acme });
    expect(all).toHaveLength(5);
    const states: readonly SessionState[] = ["active", "expired", "idle_expired", "revoked"];
    for (const now of [0, 499, 500, 999, 1000, hour].map(at)) {
      for (const state of states) {
        const found = await list({ organizationId: acme, state, now });
        const expected = all.filter((session) => stateOf(session, now) === state);
        expect(found, `${state} at ${now.toISOString()}`).toEqual(expected);
      }
      const active = all.filter((session) => stateOf(session, now) === "active");
      expect(await store.revocations.countActive(project.id, { scope: "project" }, now)).toBe(active.length);
    }
    const scopes = all.map(({ revocation }) => revocation?.scope);
    expect(scopes).toEqual(["member", "session", undefined, undefined, undefined]);
  });

  test("counts the active sessions within a target, without the excepted one", async () => {
    const own = await create({ organizationId: acme });
    await create();
    await create({ memberId: bob, organizationId: acme });
    await storedSession(store, await storedProject(store), { organizationId: acme });
    const count = (target: CutoffTarget) => store.revocations.countActive(project.id, target, at(0));
    expect(await count({ scope: "project" })).toBe(3);
    expect(await count({ scope: "member", id: ada })).toBe(2);
    expect(await count({ scope: "organization", id: acme })).toBe(2);
    expect(await count({ scope: "organization", id: acme, except: own.id })).toBe(1);
    await revoke({ scope: "member", id: ada });
    expect(await count({ scope: "project" })).toBe(1);
  });

  test("a member belongs to an organization only with all of their sessions", async () => {
    const isMember = (member = ada) => store.sessions.isMemberOf(project.id, member, acme);
    expect(await isMember()).toBe(false);
    await create({ organizationId: acme });
    expect(await isMember()).toBe(true);
    expect(await isMember(bob)).toBe(false);
    await create({ memberId: bob, organizationId: acme });
    await create({ memberId: bob, organizationId: organizationId("evil") });
    expect(await isMember(bob)).toBe(false);
    await create();
    expect(await isMember()).toBe(false);
    expect(await store.sessions.isMemberOf((await storedProject(store)).id, ada, acme)).toBe(false);
  });
}
