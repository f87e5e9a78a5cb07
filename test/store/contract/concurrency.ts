import { beforeEach, expect, test } from "vitest";
import type { Project } from "../../../src/domain/project.ts";
import type { Session } from "../../../src/domain/sessions/session.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import {
  at,
  hour,
  memberId,
  must,
  orderOf,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import type { Replicas } from "./replicas.ts";

/** Concurrency of two replicas. */
export function concurrencyContract(replicas: Replicas): void {
  let stores: readonly [PostgresStore, PostgresStore];
  let project: Project;

  beforeEach(async () => {
    stores = [replicas.one(), replicas.other()];
    project = await storedProject(stores[0]);
  });

  const storeOf = (i: number) => stores[i % 2 === 0 ? 0 : 1];
  const times = <T>(count: number, run: (i: number) => Promise<T>): Promise<T[]> =>
    Promise.all(Array.from({ length: count }, (_, i) => run(i)));

  test("a hundred concurrent revocations of a session record one, and return the same receipt", async () => {
    const { session, token } = await storedSession(stores[0], project);
    const receipts = await times(100, (i) =>
      storeOf(i).revocations.revoke(
        orderOf(project, i % 3 === 0 ? { scope: "session", token } : { scope: "session", id: session.id }, {
          time: at(i),
        }),
      ),
    );
    const told = new Set(receipts.map((receipt) => `${receipt?.revision} ${receipt?.time.toISOString()}`));
    expect(told.size).toBe(1);
    expect(receipts.filter((receipt) => receipt?.revokedCount === 1)).toHaveLength(1);
    expect(receipts[0]?.revision).toBe(1);
    expect((await stores[0].revocations.revoke(orderOf(project, { scope: "project" })))?.revision).toBe(2);
  });

  test("revisions of a project have no gaps and no repetition", async () => {
    const receipts = await times(60, (i) =>
      storeOf(i).revocations.revoke(
        orderOf(project, { scope: "member", id: memberId(`m${i % 7}`) }, { count: i % 5 === 0 }),
      ),
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
        const { session } = await storedSession(storeOf(i), project);
        if (!ordered) before.push(session);
        if (startedAfter) after.push(session);
        if (n === 5 && i === 0) {
          ordered = true;
          await storeOf(1).revocations.revoke(orderOf(project, { scope: "member", id: session.memberId }));
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
    const { session, token } = await storedSession(stores[0], project);
    let revoked = false;
    const afterwards: (number | undefined)[] = [];
    const lookUp = async (i: number) => {
      for (let n = 0; n < 20; n++) {
        const mustBeDead = revoked;
        const found = must(
          await (n % 2
            ? storeOf(i).sessions.findSession(project.id, session.id)
            : storeOf(i)
                .sessions.findSessionByToken(token)
                .then((byToken) => byToken?.session)),
        );
        if (mustBeDead) afterwards.push(found.revocation?.revision);
        if (i === 0 && n === 8) {
          await storeOf(n).revocations.revoke(orderOf(project, { scope: "session", id: session.id }));
          revoked = true;
        }
      }
    };
    await times(8, lookUp);
    expect(afterwards.length).toBeGreaterThan(0);
    expect(new Set(afterwards)).toEqual(new Set([1]));
  });

  test("extending and accessing sessions during their revocation restores none", async () => {
    const created = await times(20, (i) =>
      storedSession(storeOf(i), project, { memberId: memberId(`m${i % 4}`), idleTimeout: hour }),
    );
    const sessions = created.map(({ session }) => session);
    await Promise.all([
      ...sessions.map((session, i) =>
        storeOf(i).revocations.revoke(orderOf(project, { scope: "session", id: session.id })),
      ),
      ...sessions.flatMap((session, i) => [
        storeOf(i).sessions.extendSession(project.id, session.id, at(2 * hour), at(1)),
        storeOf(i + 1).sessions.extendSession(project.id, session.id, at(3 * hour), at(2)),
      ]),
      ...sessions.toReversed().map(async (session, i) => storeOf(i).sessions.recordAccess(session, at(3))),
      times(4, (i) =>
        storeOf(i).revocations.revoke(
          orderOf(project, { scope: "member", id: memberId(`m${i}`), except: must(sessions[i + 4]).id }),
        ),
      ),
    ]);
    for (const [i, { id }] of sessions.entries()) {
      expect((await storeOf(i).sessions.findSession(project.id, id))?.revocation).toBeDefined();
      expect(await storeOf(i).sessions.extendSession(project.id, id, at(9 * hour), at(4))).toBeUndefined();
    }
  });
}
