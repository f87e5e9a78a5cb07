import fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import { newSessionId } from "../../../src/domain/ids.ts";
import type { Project } from "../../../src/domain/project.ts";
import type { RecordedRevocation } from "../../../src/domain/revocations/revocation-log.ts";
import type { RevocationQuery } from "../../../src/domain/store/revocation-store.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import {
  at,
  hour,
  memberId,
  organizationId,
  revocationQuery,
  revokeTarget,
  storedProject,
} from "../../support/fixtures/stored.ts";
import type { Replicas } from "./replicas.ts";

/** Lists of revocations for auditors. */
export function revocationListContract(replicas: Replicas): void {
  const { create, revoke } = replicas;
  let store: PostgresStore;
  let project: Project;

  beforeEach(() => void ({ store, project } = replicas));

  const query = (overrides: Partial<RevocationQuery>) => revocationQuery(project, overrides);
  const list = async (overrides: Partial<RevocationQuery> = {}) =>
    (await store.revocations.listRevocations(query(overrides))).revocations;
  const revisions = async (overrides: Partial<RevocationQuery> = {}) =>
    (await list(overrides)).map(({ revision }) => revision);

  test("lists the revocations of this project, newest first", async () => {
    const acme = organizationId("acme");
    const session = await create({ organizationId: acme });
    const spared = await create();
    await revoke(session, { actor: "member/ada", reason: "lost phone", time: at(1) });
    const target = { scope: "member", id: session.memberId, except: spared.id } as const;
    await revoke(target, { cause: "compromise", time: at(2) });
    const foreign = await storedProject(store);
    await revokeTarget(store, foreign, { scope: "project" });
    expect(await list()).toEqual([
      {
        revision: 2,
        id: expect.any(String),
        scope: "member",
        targetId: "ada",
        exceptSessionId: spared.id,
        time: at(2),
        cause: "compromise",
        reason: "",
        actor: "service/test",
        actingUser: undefined,
        memberId: undefined,
        organizationId: undefined,
        // A JWT that was signed just before lives for five minutes; one minute is for clock skew and calls in flight.
        relevantUntil: at(370_002),
      },
      {
        revision: 1,
        id: expect.any(String),
        scope: "session",
        targetId: session.id,
        exceptSessionId: undefined,
        time: at(1),
        cause: "logout",
        reason: "lost phone",
        actor: "member/ada",
        actingUser: undefined,
        memberId: session.memberId,
        organizationId: acme,
        relevantUntil: at(370_001),
      },
    ] satisfies RecordedRevocation[]);
  });

  test("a time range includes its start and excludes its end", async () => {
    for (let i = 0; i < 5; i++) await revoke({ scope: "project" }, { time: at(i * hour) });
    expect(await revisions({ startTime: at(hour), endTime: at(3 * hour) })).toEqual([3, 2]);
    expect(await revisions({ startTime: at(hour + 1) })).toEqual([5, 4, 3]);
    expect(await revisions({ endTime: at(hour) })).toEqual([1]);
    expect(await revisions({ startTime: at(5 * hour) })).toEqual([]);
    const [first, last] = [new Date("0001-01-01T00:00:00Z"), new Date("9999-12-31T23:59:59.999Z")];
    expect(await revisions({ startTime: first, endTime: last })).toEqual([5, 4, 3, 2, 1]);
    expect(await revisions({ startTime: last })).toEqual([]);
    expect(await revisions({ endTime: first })).toEqual([]);
  });

  test("finds revocations by date although clocks differ", async () => {
    const minutes = [0, 20, 10, 45, 15, 70, 30, 90];
    for (const minute of minutes) await revoke({ scope: "project" }, { time: at(minute * 60_000) });
    expect(await revisions({ startTime: at(15 * 60_000), endTime: at(45 * 60_000) })).toEqual([7, 5, 2]);
  });

  test("lists by target: a session, a member, an organization, the project", async () => {
    const acme = organizationId("acme");
    const member = { memberId: memberId("acme"), organizationId: acme };
    const session = await create(member);
    const other = await create(member);
    for (const { id } of [session, other]) await revoke({ scope: "session", id });
    await revoke({ scope: "member", id: member.memberId });
    await revoke({ scope: "organization", id: acme });
    await revoke({ scope: "project" });
    await revoke({ scope: "member", id: member.memberId });
    expect(await revisions({ scope: "session", targetId: session.id })).toEqual([1]);
    expect(await revisions({ scope: "session", targetId: newSessionId() })).toEqual([]);
    expect(await revisions({ scope: "member", targetId: "acme" })).toEqual([6, 3]);
    expect(await revisions({ scope: "organization", targetId: "acme" })).toEqual([4]);
    expect(await revisions({ scope: "project", targetId: project.id })).toEqual([5]);
    expect(await revisions({ scope: "signing_key", targetId: "acme" })).toEqual([]);
    expect(await revisions({ scope: "session" })).toEqual([2, 1]);
  });

  test("pages hold each matching revocation once, for any filters", async () => {
    const kind = fc.constantFrom("member", "organization", "project");
    const draft = fc.record({ kind, who: fc.nat(2), by: fc.nat(2) });
    const drafts = fc.array(draft, { minLength: 1, maxLength: 30 });
    const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
    const time = fc.integer({ min: -2, max: 40 }).map((i) => at(i * hour));
    const filter = fc.record({
      startTime: optional(time),
      endTime: optional(time),
      actor: optional(fc.nat(2).map((by) => `member/${by}`)),
      scope: optional(fc.constantFrom("member", "organization", "project", "session")),
    });
    const filters = fc.array(filter, { minLength: 1, maxLength: 5 });
    const sizes = fc.integer({ min: 1, max: 10 });
    const property = fc.asyncProperty(drafts, filters, sizes, async (drafts, filters, size) => {
      project = await storedProject(store);
      for (const [i, { kind, who, by }] of drafts.entries()) {
        const targets = {
          member: { scope: "member", id: memberId(`${who}`) },
          organization: { scope: "organization", id: organizationId(`${who}`) },
          project: { scope: "project" },
        } as const;
        await revokeTarget(store, project, targets[kind], { time: at(i * hour), actor: `member/${by}` });
      }
      const all = await list();
      expect(all).toHaveLength(drafts.length);
      for (const one of filters) {
        const paged: RecordedRevocation[] = [];
        for (let after: string | undefined, i = 0; i === 0 || after !== undefined; i++) {
          const page = await store.revocations.listRevocations(query({ ...one, page: { size, after } }));
          expect(page.revocations.length).toBeLessThanOrEqual(size);
          paged.push(...page.revocations);
          after = page.next === undefined ? undefined : String(page.next);
        }
        expect(paged).toEqual(all.filter((revocation) => fits(revocation, one)));
      }
    });
    await fc.assert(property, { numRuns: 20 });
  });
}

type Filter = Pick<RevocationQuery, "startTime" | "endTime" | "actor" | "scope">;

function fits(revocation: RecordedRevocation, { startTime, endTime, actor, scope }: Filter): boolean {
  return (
    (startTime === undefined || revocation.time >= startTime) &&
    (endTime === undefined || revocation.time < endTime) &&
    (actor === undefined || revocation.actor === actor) &&
    (scope === undefined || revocation.scope === scope)
  );
}
