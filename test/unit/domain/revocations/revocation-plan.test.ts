import * as fc from "fast-check";
import { expect, test } from "vitest";
import { planRevocations } from "../../../../src/domain/revocations/revocation-plan.ts";
import type {
  CutoffTarget,
  Revocation,
  RevocationOrder,
} from "../../../../src/domain/revocations/revocation.ts";
import type { Session } from "../../../../src/domain/sessions/session.ts";
import { RevocationModel } from "../../../support/fixtures/in-memory.ts";
import {
  at,
  hour,
  memberId,
  must,
  newProject,
  newSession,
  orderOf,
  organizationId,
} from "../../../support/fixtures/stored.ts";

const project = newProject();
const ada = memberId("ada");

function session(overrides: Partial<Session> = {}): Session {
  return { ...newSession(project), createdRevision: 5, revocation: undefined, ...overrides };
}

function order(target: RevocationOrder["target"], time = at(0)): RevocationOrder {
  return orderOf(project, target, { time });
}

function end(one: Session, time = at(0)) {
  return { order: order({ scope: "session", id: one.id }, time), session: one };
}

function cut(target: CutoffTarget, spared?: Session) {
  return { order: order(target), session: spared };
}

test("orders take the next revisions in their order", () => {
  const [one, two] = [session(), session()];
  const plan = planRevocations([end(one), cut({ scope: "member", id: memberId("bob") }), end(two)], 10);
  expect(plan.receipts.map((receipt) => receipt?.revision)).toEqual([11, 12, 13]);
  expect(plan.log.map(({ revision, targetId }) => [revision, targetId])).toEqual([
    [11, one.id],
    [12, "bob"],
    [13, two.id],
  ]);
  expect([...plan.ended]).toEqual([
    [one.id, 11],
    [two.id, 13],
  ]);
});

test("a session that is not there takes no revision", () => {
  const unknown = { ...end(session()), session: undefined };
  const plan = planRevocations([unknown, end(session())], 0);
  expect(plan.receipts).toMatchObject([undefined, { revision: 1 }]);
  expect(plan.log).toHaveLength(1);
});

test("a session that was revoked before answers with that, and only what a receipt tells", () => {
  const revocation: Revocation = {
    revision: 7,
    scope: "member",
    time: at(-5),
    cause: "policy",
    reason: "secret reasons",
    actor: "service/x",
  };
  const plan = planRevocations([end(session({ revocation }))], 9);
  expect(plan.receipts).toEqual([{ revision: 7, time: at(-5), revokedCount: 0 }]);
  expect(plan.log).toEqual([]);
});

test("the same session twice in a batch is revoked once", () => {
  const one = session();
  const plan = planRevocations([end(one, at(1)), end(one, at(2))], 0);
  expect(plan.receipts).toEqual([
    { revision: 1, time: at(1), revokedCount: 1 },
    { revision: 1, time: at(1), revokedCount: 0 },
  ]);
  expect(plan.log).toHaveLength(1);
});

test("an expired session counts as none", () => {
  expect(planRevocations([end(session(), at(hour))], 0).receipts[0]?.revokedCount).toBe(0);
});

test("a session that an earlier cutoff of the batch ended answers with the cutoff", () => {
  const one = session({ createdRevision: 0 });
  const plan = planRevocations([cut({ scope: "member", id: ada }), end(one, at(3))], 0);
  expect(plan.receipts[1]).toEqual({ revision: 1, time: at(0), revokedCount: 0 });
  expect(plan.ended.size).toBe(0);
});

test("a session that was spared is ended by name and by the next cutoff", () => {
  const one = session({ createdRevision: 0 });
  const sparing = cut({ scope: "member", id: ada, except: one.id }, one);
  const named = planRevocations([sparing, end(one)], 0);
  expect([...named.spared]).toEqual([[one.id, 1]]);
  expect([...named.ended]).toEqual([[one.id, 2]]);
  const again = planRevocations([sparing, cut({ scope: "project" }), end(one)], 0);
  expect(again.receipts.map((receipt) => receipt?.revision)).toEqual([1, 2, 2]);
});

test("only a live session within the scope is spared", () => {
  const [dead, bobs] = [session(), session({ memberId: memberId("bob") })];
  const spare = (one: Session) => cut({ scope: "member", id: ada, except: one.id }, one);
  expect(planRevocations([end(dead), spare(dead), spare(bobs)], 0).spared.size).toBe(0);
  const one = session({ createdRevision: 0 });
  expect(planRevocations([cut({ scope: "project" }), spare(one)], 0).spared.size).toBe(0);
});

test("any batch ends as if its orders came one by one", () => {
  const draft = fc.record({
    kind: fc.constantFrom("session", "member", "organization", "project"),
    which: fc.nat(5),
    except: fc.option(fc.nat(5), { nil: undefined }),
  });
  const property = fc.property(fc.array(draft, { maxLength: 15 }), (drafts) => {
    const sessions = Array.from({ length: 5 }, (_, i) =>
      session({
        createdRevision: 0,
        memberId: memberId(`m${i % 2}`),
        organizationId: i % 3 === 0 ? organizationId(`o${i % 2}`) : undefined,
        expireTime: at(i * 3),
      }),
    );
    const model = new RevocationModel(sessions);
    const batch = drafts.map(({ kind, which, except }, i) => {
      const spared = except === undefined ? undefined : sessions[except];
      const cutoffs = {
        member: { scope: "member", id: memberId(`m${which % 3}`), except: spared?.id },
        organization: { scope: "organization", id: organizationId(`o${which % 3}`), except: spared?.id },
        project: { scope: "project", except: spared?.id },
      } as const;
      if (kind !== "session") return { order: order(cutoffs[kind], at(i)), session: spared };
      const named = sessions[which];
      const id = named?.id ?? session().id;
      return { order: order({ scope: "session", id }, at(i)), session: named };
    });
    const expected = batch.map((item) => model.revoke(item.order));
    const plan = planRevocations(batch, 0);
    expect(plan.receipts).toEqual(expected);
    expect(plan.log.map(({ revision }) => revision)).toEqual(
      Array.from({ length: model.revision }, (_, i) => i + 1),
    );
    for (const [id, revision] of plan.ended) expect(must(model.endOf(id)).revision).toBe(revision);
  });
  fc.assert(property, { numRuns: 300 });
});
