import * as fc from "fast-check";
import { expect, test } from "vitest";
import { planRevocations } from "../../../../src/domain/revocations/revocation-plan.ts";
import type { CutoffTarget, RevocationCommand } from "../../../../src/domain/revocation.ts";
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

function command(target: RevocationCommand["target"], time = at(0)): RevocationCommand {
  return orderOf(project, target, { time });
}

function end(one: Session, time = at(0)) {
  return { command: command({ scope: "session", id: one.id }, time), session: one };
}

function cut(target: CutoffTarget, except?: Session) {
  return { command: command(target), session: except };
}

test("commands take the next revisions in their order", () => {
  const [one, two] = [session(), session()];
  const plan = planRevocations([end(one), cut({ scope: "member", id: memberId("bob") }), end(two)], 10);
  expect(plan.receipts.map((receipt) => receipt?.revision)).toEqual([11, 12, 13]);
  const logged = plan.log.map(({ revision, targetId }) => ({ [revision]: targetId }));
  expect(logged).toEqual([{ 11: one.id }, { 12: "bob" }, { 13: two.id }]);
  expect(Object.fromEntries(plan.ended)).toEqual({ [one.id]: 11, [two.id]: 13 });
});

test("an unknown session takes no revision", () => {
  const unknown = { ...end(session()), session: undefined };
  const plan = planRevocations([unknown, end(session())], 0);
  expect(plan.receipts).toMatchObject([undefined, { revision: 1 }]);
  expect(plan.log).toHaveLength(1);
});

test("a session that was revoked before gets the receipt of that revocation, without its reason", () => {
  const why = {
    cause: "policy",
    reason: "secret reasons",
    actor: "service/x",
    actingUser: undefined,
  } as const;
  const revocation = { revision: 7, scope: "member", time: at(-5), ...why } as const;
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

test("an expired session is not counted", () => {
  expect(planRevocations([end(session(), at(hour))], 0).receipts[0]?.revokedCount).toBe(0);
});

test("a session that an earlier cutoff of the batch ended gets the receipt of the cutoff", () => {
  const one = session({ createdRevision: 0 });
  const plan = planRevocations([cut({ scope: "member", id: ada }), end(one, at(3))], 0);
  expect(plan.receipts[1]).toEqual({ revision: 1, time: at(0), revokedCount: 0 });
  expect(plan.ended.size).toBe(0);
});

test("an exempted session is ended by name and by the next cutoff", () => {
  const one = session({ createdRevision: 0 });
  const exempting = cut({ scope: "member", id: ada, except: one.id }, one);
  const named = planRevocations([exempting, end(one)], 0);
  expect([...named.exempted]).toEqual([[one.id, 1]]);
  expect([...named.ended]).toEqual([[one.id, 2]]);
  const again = planRevocations([exempting, cut({ scope: "project" }), end(one)], 0);
  expect(again.receipts.map((receipt) => receipt?.revision)).toEqual([1, 2, 2]);
});

test("only an active session within the scope is exempted", () => {
  const [revoked, bobs] = [session(), session({ memberId: memberId("bob") })];
  const exempt = (one: Session) => cut({ scope: "member", id: ada, except: one.id }, one);
  expect(planRevocations([end(revoked), exempt(revoked), exempt(bobs)], 0).exempted.size).toBe(0);
  const one = session({ createdRevision: 0 });
  expect(planRevocations([cut({ scope: "project" }), exempt(one)], 0).exempted.size).toBe(0);
});

test("any batch has the results of its commands run one by one", () => {
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
      const excepted = except === undefined ? undefined : sessions[except];
      const cutoffs = {
        member: { scope: "member", id: memberId(`m${which % 3}`), except: excepted?.id },
        organization: { scope: "organization", id: organizationId(`o${which % 3}`), except: excepted?.id },
        project: { scope: "project", except: excepted?.id },
      } as const;
      if (kind !== "session") return { command: command(cutoffs[kind], at(i)), session: excepted };
      const named = sessions[which];
      const id = named?.id ?? session().id;
      return { command: command({ scope: "session", id }, at(i)), session: named };
    });
    const expected = batch.map((item) => model.revoke(item.command));
    const plan = planRevocations(batch, 0);
    expect(plan.receipts).toEqual(expected);
    const revisions = Array.from({ length: model.revision }, (_, i) => i + 1);
    expect(plan.log.map(({ revision }) => revision)).toEqual(revisions);
    for (const [id, revision] of plan.ended) expect(must(model.endOf(id)).revision).toBe(revision);
  });
  fc.assert(property, { numRuns: 300 });
});
