import { randomBytes } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import { type MemberId, newSessionId } from "../../../src/domain/ids.ts";
import type { SessionLimitAction } from "../../../src/domain/policy.ts";
import type { Project } from "../../../src/domain/project.ts";
import type { NewSession } from "../../../src/domain/store/session-store.ts";
import type { PostgresStore } from "../../../src/storage/postgres-store.ts";
import type { SecretHash } from "../../../src/domain/token.ts";
import {
  at,
  disableProject,
  hour,
  memberId,
  must,
  newProject,
  newSession,
  storedProject,
  storedSession,
} from "../../support/fixtures/stored.ts";
import { type Replicas, times } from "./replicas.ts";

/** Limits of active sessions per member. */
export function sessionLimitContract(replicas: Replicas): void {
  const { create, find, revocationOf, revoke, storeOf } = replicas;
  let store: PostgresStore;
  let project: Project;

  beforeEach(() => void ({ store, project } = replicas));

  type Overrides = Partial<NewSession>;
  const logIn = (i: number, max: number, action: SessionLimitAction, of: Overrides = {}, to = project) => {
    const limit = { max, action, actor: "service/login" };
    const hash = randomBytes(32) as SecretHash;
    return storeOf(i).sessions.createSessionWithin(newSession(to, of), hash, limit);
  };
  const active = (id: MemberId, now = at(0)) =>
    replicas.other.revocations.countActive(project.id, { scope: "member", id }, now);
  const ada = memberId("ada");

  test("concurrent logins on two replicas are refused exactly beyond the limit", async () => {
    for (let round = 0; round < 20; round++) {
      const id = round === 0 ? ada : memberId(`m${round}`);
      const outcomes = await times(20, (i) => logIn(i, 3, "refuse", { memberId: id }));
      expect(outcomes.filter((outcome) => outcome === "limit_reached")).toHaveLength(17);
      expect(await active(id)).toBe(3);
    }
    expect(await logIn(0, 4, "refuse")).toMatchObject({ memberId: ada, revocation: undefined });
    expect(await logIn(1, 4, "refuse")).toBe("limit_reached");
  });

  test("concurrent logins on two replicas end as many sessions as they create, while others revoke", async () => {
    const members = [ada, memberId("bob"), memberId("cleo")];
    const outcomes = await Promise.all([
      times(90, (i) => logIn(i, 2, "end_oldest", { memberId: must(members[i % 3]) })),
      times(20, (i) => revoke({ scope: "member", id: memberId("dan") }, {}, storeOf(i))),
    ]);
    expect(outcomes[0].every((outcome) => typeof outcome === "object")).toBe(true);
    expect(await Promise.all(members.map((id) => active(id)))).toEqual([2, 2, 2]);
    const { revocations, head } = await store.revocations.readRevocations(project.id, 0, 1000);
    const ended = revocations.filter(({ scope }) => scope === "session");
    expect(ended).toHaveLength(90 - 6);
    expect(new Set(ended.map(({ cause }) => cause))).toEqual(new Set(["session_limit"]));
    expect(head.revision).toBe(90 - 6 + 20);
  });

  test("ends the oldest sessions beyond the limit with normal revocations", async () => {
    const sessions = [];
    for (let i = 0; i < 4; i++) sessions.push(await create({}, storeOf(i)));
    const last = await logIn(0, 2, "end_oldest", { createTime: at(5) });
    const found = await Promise.all(sessions.map(({ id }) => find(id)));
    const revocation = { scope: "session", cause: "session_limit", actor: "service/login", time: at(5) };
    expect(found).toMatchObject([{ revocation }, { revocation }, { revocation }, { revocation: undefined }]);
    expect(last).toMatchObject({ revocation: undefined });
    expect(await active(ada)).toBe(2);
  });

  test("revoked, expired and other members' sessions do not count", async () => {
    const cutOff = await create();
    await revoke({ scope: "member", id: ada });
    const named = await create();
    await revoke(named);
    await create({ expireTime: at(10) });
    await create({ idleTimeout: 10 });
    await create({ memberId: memberId("bob") });
    await storedSession(store, await storedProject(store));
    const now = { createTime: at(10), lastAccessTime: at(10), expireTime: at(hour) };
    expect(await logIn(0, 1, "refuse", now)).toMatchObject({ memberId: ada });
    expect(await logIn(1, 1, "refuse", now)).toBe("limit_reached");
    expect(await active(ada, at(10))).toBe(1);
    expect(cutOff.memberId).toBe(ada);
  });

  test("a login that cannot be stored ends nothing and fails no other", async () => {
    const session = await create();
    const [unstorable, other] = await Promise.allSettled([
      logIn(0, 1, "end_oldest", { device: { userAgent: "\0", ipAddress: "" } }),
      logIn(0, 1, "end_oldest", { memberId: memberId("bob") }),
    ]);
    expect(unstorable.status).toBe("rejected");
    expect(other).toMatchObject({ status: "fulfilled", value: { memberId: "bob" } });
    expect(await revocationOf(session)).toBeUndefined();
  });

  test("in a missing or disabled project nothing is stored, and nothing is ended for it", async () => {
    expect(await logIn(0, 1, "end_oldest", {}, newProject())).toBeUndefined();
    const session = await create();
    await disableProject(store, project, at(0));
    const id = newSessionId();
    expect(await logIn(0, 1, "end_oldest", { id })).toBeUndefined();
    expect(await find(id)).toBeUndefined();
    expect(await revocationOf(session)).toMatchObject({ scope: "project", revision: 1 });
  });
}
