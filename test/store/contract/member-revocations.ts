import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { parseActingUser } from "../../../src/domain/ids.ts";
import type { Project } from "../../../src/domain/project.ts";
import type { RevocationQuery } from "../../../src/domain/store/revocation-store.ts";
import type { Session } from "../../../src/domain/sessions/session.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import {
  at,
  hour,
  memberId,
  must,
  organizationId,
  revocationQuery,
  revokeTarget,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import type { Replicas } from "./replicas.ts";

const [ada, bob] = [memberId("ada"), memberId("bob")];
const [acme, initech] = [organizationId("acme"), organizationId("initech")];

/** Lists of the revocations that ended sessions of a member, or that services made for a person. */
export function memberRevocationContract(replicas: Replicas): void {
  const { create, revoke } = replicas;
  let store: PostgresStore;
  let project: Project;

  beforeEach(() => void ({ store, project } = replicas));

  const list = (overrides: Partial<RevocationQuery>) =>
    store.revocations.listRevocations(revocationQuery(project, overrides));
  const revisions = async (overrides: Partial<RevocationQuery>) =>
    (await list(overrides)).revocations.map(({ revision }) => revision);
  const ofAda = (overrides: Partial<RevocationQuery> = {}) => revisions({ memberId: ada, ...overrides });
  /** All pages. */
  const paged = async (overrides: Partial<RevocationQuery>, size: number) => {
    const found: number[] = [];
    for (let after: string | undefined, i = 0; i === 0 || after !== undefined; i++) {
      const { revocations, next } = await list({ ...overrides, page: { size, after } });
      expect(revocations.length).toBeLessThanOrEqual(size);
      found.push(...revocations.map(({ revision }) => revision));
      after = next === undefined ? undefined : String(next);
    }
    return found;
  };

  describe("the revocations that ended sessions of a member", () => {
    test("are of single sessions, the member, and the organizations and the project of these sessions", async () => {
      await create({ organizationId: acme });
      await create({ organizationId: initech });
      const one = await create();
      const foreign = await create({ memberId: bob, organizationId: acme });
      await revoke(foreign);
      await revoke(one);
      await revoke({ scope: "organization", id: acme });
      await revoke({ scope: "member", id: bob });
      await revoke({ scope: "organization", id: organizationId("another") });
      await revoke({ scope: "project" });
      await revoke({ scope: "signing_key", id: "none" });
      expect(await ofAda()).toEqual([6, 3, 2]);
      expect(await revisions({ memberId: bob })).toEqual([4, 1]);
      expect(await revisions({ memberId: memberId("acme") })).toEqual([]);
      const [, , single] = (await list({ memberId: ada })).revocations;
      expect(single).toMatchObject({ targetId: one.id, memberId: ada, organizationId: undefined });
    });

    test("do not include a cutoff without a session that it ended", async () => {
      await revoke({ scope: "organization", id: acme });
      await revoke({ scope: "project" });
      const session = await create({ organizationId: acme });
      expect(await ofAda()).toEqual([]);
      await revoke(session);
      await revoke({ scope: "organization", id: acme });
      await revoke({ scope: "project" });
      expect(await ofAda()).toEqual([3]);
    });

    test("do not include a cutoff that spared the session, or came after it was revoked; expired sessions count", async () => {
      const spared = await create({ organizationId: acme });
      await revoke({ scope: "organization", id: acme, except: spared.id });
      expect(await ofAda()).toEqual([]);
      await create({ organizationId: initech });
      await revoke({ scope: "organization", id: initech });
      await revoke({ scope: "project" }, { time: at(1) });
      await revoke({ scope: "project" }, { time: at(2) });
      // The first one ended the session that was spared before.
      expect(await ofAda()).toEqual([3, 2]);

      await create({ expireTime: at(10) });
      await create({ idleTimeout: 10 });
      await revoke({ scope: "project" }, { time: at(10) });
      expect(await ofAda()).toEqual([5, 3, 2]);
    });

    test("include every revocation of the member, even of one without sessions", async () => {
      await revoke({ scope: "member", id: ada });
      await create();
      await revoke({ scope: "project" });
      await revoke({ scope: "member", id: ada });
      expect(await ofAda()).toEqual([3, 2, 1]);
    });

    test("are filtered by time, actor, acting user, scope and target, and paged", async () => {
      const desk = must(parseActingUser("the desk"));
      const sessions: Session[] = [];
      for (let i = 0; i < 7; i++) sessions.push(await create());
      for (const [i, session] of sessions.entries()) {
        const actingUser = i % 2 === 0 ? desk : undefined;
        await revoke(session, { time: at(i * hour), actor: `member/${i % 3}`, actingUser });
      }
      await revoke({ scope: "member", id: ada }, { time: at(7 * hour) });
      expect(await ofAda({ startTime: at(2 * hour), endTime: at(4 * hour) })).toEqual([4, 3]);
      expect(await ofAda({ actor: "member/1" })).toEqual([5, 2]);
      expect(await ofAda({ actingUser: desk, actor: "member/0" })).toEqual([7, 1]);
      expect(await ofAda({ scope: "member" })).toEqual([8]);
      expect(await ofAda({ scope: "member", targetId: ada })).toEqual([8]);
      expect(await ofAda({ scope: "session", targetId: must(sessions[2]).id })).toEqual([3]);
      for (const size of [1, 3, 8]) {
        expect(await paged({ memberId: ada }, size)).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
        expect(await paged({ memberId: ada, actingUser: desk }, size)).toEqual([7, 5, 3, 1]);
      }
    });
  });

  test("a person for whom a service acted finds their revocations by their whole name only", async () => {
    const [desk, other] = [must(parseActingUser("Zoë")), must(parseActingUser("zoë"))];
    await revoke({ scope: "project" }, { actingUser: desk });
    await revoke({ scope: "project" });
    await revoke({ scope: "project" }, { actingUser: other });
    expect(await revisions({ actingUser: desk })).toEqual([1]);
    expect(await revisions({ actingUser: must(parseActingUser("Z")) })).toEqual([]);
  });

  test("for any history, a member's list has the first revocation of each session and all of the member", async () => {
    const who = fc.constantFrom(ada, bob);
    const org = fc.constantFrom(undefined, acme, initech);
    const login = fc.record({
      kind: fc.constant("login" as const),
      memberId: who,
      organizationId: org,
      lifetime: fc.constantFrom(2, 5, 1000),
    });
    const end = fc.record({ kind: fc.constant("end" as const), index: fc.nat(5) });
    const cut = fc.record({
      kind: fc.constant("cut" as const),
      target: fc.oneof(
        who.map((id) => ({ scope: "member", id }) as const),
        fc.constantFrom(acme, initech).map((id) => ({ scope: "organization", id }) as const),
        fc.constant({ scope: "project" } as const),
      ),
    });
    const steps = fc.array(fc.oneof(login, end, cut), { minLength: 1, maxLength: 25 });
    const property = fc.asyncProperty(steps, fc.integer({ min: 1, max: 4 }), async (steps, size) => {
      project = await storedProject(store);
      const sessions: Session[] = [];
      const expected = new Set<number>();
      for (const [i, step] of steps.entries()) {
        const now = at(i);
        if (step.kind === "login") {
          const { memberId, organizationId, lifetime } = step;
          const times = { createTime: now, lastAccessTime: now, expireTime: at(i + lifetime) };
          sessions.push(
            (await storedSession(store, project, { memberId, organizationId, ...times })).session,
          );
        } else if (step.kind === "cut") {
          const { target } = step;
          const revision = must(await revokeTarget(store, project, target, { time: now })).revision;
          if (target.scope === "member" && target.id === ada) expected.add(revision);
        } else if (sessions[step.index] !== undefined) {
          const { id } = must(sessions[step.index]);
          await revokeTarget(store, project, { scope: "session", id }, { time: now });
        }
      }
      for (const { id, memberId } of sessions) {
        const { revocation } = must(await store.sessions.findSession(project.id, id));
        if (revocation !== undefined && memberId === ada) expected.add(revocation.revision);
      }
      expect(await paged({ memberId: ada }, size)).toEqual([...expected].toSorted((a, b) => b - a));
    });
    await fc.assert(property, { numRuns: 30 });
  });
}
