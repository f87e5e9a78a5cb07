import { beforeEach, expect, test } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import type { Session } from "../../../src/domain/sessions/session.ts";
import { at, hour, memberId, must } from "../../support/fixtures/stored.ts";
import { type Replicas, times } from "./replicas.ts";

/** Concurrency of two replicas. */
export function concurrencyContract(replicas: Replicas): void {
  const { create, createWithToken, revoke, storeOf } = replicas;
  let project: Project;

  beforeEach(() => void ({ project } = replicas));

  test("a hundred concurrent revocations of a session record one, and return the same receipt", async () => {
    const { session, token } = await createWithToken();
    const receipts = await times(100, (i) =>
      revoke(i % 3 === 0 ? { scope: "session", token } : session, { time: at(i) }, storeOf(i)),
    );
    const told = new Set(receipts.map((receipt) => `${receipt?.revision} ${receipt?.time.toISOString()}`));
    expect(told.size).toBe(1);
    expect(receipts.filter((receipt) => receipt?.revokedCount === 1)).toHaveLength(1);
    expect(receipts[0]?.revision).toBe(1);
    expect((await revoke({ scope: "project" }))?.revision).toBe(2);
  });

  test("revisions of a project have no gaps and no repetition", async () => {
    const receipts = await times(60, (i) =>
      revoke({ scope: "member", id: memberId(`m${i % 7}`) }, { count: i % 5 === 0 }, storeOf(i)),
    );
    const revisions = receipts.map((receipt) => receipt?.revision ?? 0).sort((a, b) => a - b);
    expect(revisions).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
  });

  test("a cutoff ends every session created before its command, and none created after its receipt", async () => {
    const before: Session[] = [];
    const after: Session[] = [];
    let ordered = false;
    let answered = false;
    const login = async (i: number) => {
      for (let n = 0; n < 12; n++) {
        const startedAfter = answered;
        const session = await create({}, storeOf(i));
        if (!ordered) before.push(session);
        if (startedAfter) after.push(session);
        if (n === 5 && i === 0) {
          ordered = true;
          await revoke({ scope: "member", id: session.memberId }, {}, storeOf(1));
          answered = true;
        }
      }
    };
    await times(6, login);
    expect(before.length).toBeGreaterThan(0);
    expect(after.length).toBeGreaterThan(0);
    const isDead = async (session: Session, i: number) =>
      must(await storeOf(i).sessions.findSession(project.id, session.id)).revocation !== undefined;
    expect(await Promise.all(before.map(isDead))).toEqual(before.map(() => true));
    expect(await Promise.all(after.map(isDead))).toEqual(after.map(() => false));
  });

  test("after its receipt a session is revoked on both replicas, during concurrent look-ups", async () => {
    const { session, token } = await createWithToken();
    let revoked = false;
    const afterwards: (number | undefined)[] = [];
    const lookUp = async (i: number) => {
      for (let n = 0; n < 20; n++) {
        const mustBeDead = revoked;
        const { sessions } = storeOf(i);
        const byToken = async () => (await sessions.findSessionByToken(token))?.session;
        const found = must(await (n % 2 ? sessions.findSession(project.id, session.id) : byToken()));
        if (mustBeDead) afterwards.push(found.revocation?.revision);
        if (i === 0 && n === 8) {
          await revoke(session, {}, storeOf(n));
          revoked = true;
        }
      }
    };
    await times(8, lookUp);
    expect(afterwards.length).toBeGreaterThan(0);
    expect(new Set(afterwards)).toEqual(new Set([1]));
  });

  test("extending and accessing sessions during their revocation restores none", async () => {
    const sessions = await times(20, (i) =>
      create({ memberId: memberId(`m${i % 4}`), idleTimeout: hour }, storeOf(i)),
    );
    await Promise.all([
      ...sessions.map((session, i) => revoke(session, {}, storeOf(i))),
      ...sessions.flatMap((session, i) => [
        storeOf(i).sessions.extendSession(project.id, session.id, at(2 * hour), at(1)),
        storeOf(i + 1).sessions.extendSession(project.id, session.id, at(3 * hour), at(2)),
      ]),
      ...sessions.toReversed().map(async (session, i) => storeOf(i).sessions.recordAccess(session, at(3))),
      times(4, (i) =>
        revoke({ scope: "member", id: memberId(`m${i}`), except: must(sessions[i + 4]).id }, {}, storeOf(i)),
      ),
    ]);
    for (const [i, { id }] of sessions.entries()) {
      expect((await storeOf(i).sessions.findSession(project.id, id))?.revocation).toBeDefined();
      expect(await storeOf(i).sessions.extendSession(project.id, id, at(9 * hour), at(4))).toBeUndefined();
    }
  });
}
