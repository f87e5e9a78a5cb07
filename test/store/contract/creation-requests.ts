import { sql } from "kysely";
import { beforeEach, describe, expect, test } from "vitest";
import type { SessionLimitAction } from "../../../src/domain/policy.ts";
import type { Project } from "../../../src/domain/project.ts";
import { type SecretHash, hashSecret } from "../../../src/domain/token.ts";
import type { CreationWithinLimit, NewSession } from "../../../src/domain/store/session-store.ts";
import {
  at,
  disableProject,
  memberId,
  must,
  newProject,
  newRequest,
  newSession,
  storedProject,
} from "../../support/fixtures/stored.ts";
import { type Replicas, times } from "./replicas.ts";

const ada = memberId("ada");
const tokenHash = (draft: NewSession): SecretHash => hashSecret(draft.id);

/** Creations with a request id, without and with a limit of sessions. */
export function creationRequestContract(replicas: Replicas): void {
  const { find, storeOf } = replicas;
  let project: Project;

  beforeEach(() => void ({ project } = replicas));

  type Limit = readonly [max: number, action: SessionLimitAction];
  interface Login {
    readonly on?: number;
    readonly limit?: Limit | undefined;
    readonly of?: Partial<NewSession>;
    readonly to?: Project;
  }
  /** Creates a session with this request, on a replica. */
  const logIn = (request: ReturnType<typeof newRequest>, { on = 0, limit, of, to }: Login = {}) => {
    const { sessions } = storeOf(on);
    const draft = newSession(to ?? project, of);
    const hash = tokenHash(draft);
    if (limit === undefined) return sessions.createSessionOnce(draft, hash, request);
    const [max, action] = limit;
    return sessions.createSessionWithin(draft, hash, { max, action, actor: "service/login" }, request);
  };
  /** Ids of stored sessions; each outcome must be a session or an earlier creation. */
  const idOf = (outcome: CreationWithinLimit) => {
    if (outcome === undefined || outcome === "limit_reached") throw new Error(`outcome ${outcome}`);
    return "request" in outcome ? outcome.sessionId : outcome.id;
  };
  const isStored = (outcome: CreationWithinLimit) => typeof outcome === "object" && !("request" in outcome);
  const countOf = async (what: "sessions" | "session_tokens" | "revocations", { id } = project) => {
    const { rows } = await sql<{ count: number }>`
      select count(*) as count from ${sql.table(what)} where project_id = ${id}`.execute(replicas.db);
    return must(rows[0]).count;
  };
  const makeOlder = (seconds: number) =>
    sql`update creation_requests set create_time = create_time - ${seconds} * interval '1 second'
      where project_id = ${project.id}`.execute(replicas.db);

  describe.each([
    ["no limit", undefined],
    ["a limit that refuses", [1, "refuse"]],
    ["a limit that ends the oldest", [1, "end_oldest"]],
  ] as const)("with %s", (_, limit) => {
    test("a repeat returns the first creation and stores nothing", async () => {
      const request = newRequest();
      const first = await logIn(request, { limit });
      expect(isStored(first)).toBe(true);
      const session = must(await find(idOf(first)));
      const sealedAgain = { ...newRequest(request.id, "other fields"), sealedToken: hashSecret("again") };
      for (const on of [0, 1]) {
        expect(await logIn(sealedAgain, { on, limit })).toEqual({ request, sessionId: session.id });
      }
      expect(await find(session.id)).toEqual(session);
      expect([await countOf("sessions"), await countOf("session_tokens")]).toEqual([1, 1]);
      expect(await countOf("revocations")).toBe(0);
    });

    test("concurrent calls with one request id on two replicas store one session", async () => {
      for (let round = 0; round < 20; round++) {
        const member = memberId(`m${round}`);
        const request = newRequest();
        const outcomes = await times(20, (i) => logIn(request, { on: i, limit, of: { memberId: member } }));
        expect(outcomes.filter(isStored)).toHaveLength(1);
        expect(new Set(outcomes.map(idOf)).size).toBe(1);
      }
      expect([await countOf("sessions"), await countOf("session_tokens")]).toEqual([20, 20]);
      expect(await countOf("revocations")).toBe(0);
    });

    test("concurrent calls with many request ids in any order store one session for each", async () => {
      const requests = Array.from({ length: 30 }, () => newRequest());
      // In opposite orders on the two replicas.
      const outcomes = await times(240, async (i) => {
        const on = i % 60 < 30 ? 0 : 1;
        const place = on === 0 ? i % 30 : 29 - (i % 30);
        const of = { memberId: memberId(`m${place}`) };
        return [place, idOf(await logIn(must(requests[place]), { on, limit, of }))] as const;
      });
      expect(new Set(outcomes.map(String)).size).toBe(30);
      expect(await countOf("sessions")).toBe(30);
    });

    test("a request id is free again after ten minutes of the database's clock", async () => {
      const request = newRequest();
      const first = idOf(await logIn(request, { limit }));
      await makeOlder(590);
      expect(idOf(await logIn(request, { on: 1, limit }))).toBe(first);
      await makeOlder(10);
      await replicas.revoke({ scope: "session", id: first });
      const outcomes = await times(10, (i) => logIn(request, { on: i, limit }));
      expect(outcomes.filter(isStored)).toHaveLength(1);
      expect(new Set(outcomes.map(idOf)).size).toBe(1);
      expect(idOf(must(outcomes[0]))).not.toBe(first);
    });

    test("two projects may use one request id", async () => {
      const request = newRequest();
      const other = await storedProject(replicas.store);
      const own = await logIn(request, { limit });
      const foreign = await logIn(request, { limit, to: other });
      expect([own, foreign].map(isStored)).toEqual([true, true]);
      expect(idOf(own)).not.toBe(idOf(foreign));
      expect(await logIn(request, { limit, to: other })).toMatchObject({ sessionId: idOf(foreign) });
    });

    test("a creation that cannot be stored leaves its request id free, and fails no other", async () => {
      const request = newRequest();
      const device = { userAgent: "\0", ipAddress: "" };
      const [unstorable, other] = await Promise.allSettled([
        logIn(request, { limit, of: { device } }),
        logIn(newRequest(), { limit, of: { memberId: memberId("bob") } }),
      ]);
      expect([unstorable.status, other.status]).toEqual(["rejected", "fulfilled"]);
      expect(isStored(await logIn(request, { limit }))).toBe(true);
    });

    test("nothing is stored or returned in a missing or disabled project", async () => {
      expect(await logIn(newRequest(), { limit, to: newProject() })).toBeUndefined();
      const request = newRequest();
      await logIn(request, { limit });
      await disableProject(replicas.store, project, at(0));
      for (const each of [request, newRequest()]) expect(await logIn(each, { limit })).toBeUndefined();
      expect(await countOf("sessions")).toBe(1);
    });
  });

  test("a refused login leaves its request id free, also for repeats in the same batch", async () => {
    const limit = [1, "refuse"] as const;
    const session = must(await find(idOf(await logIn(newRequest(), { limit }))));
    const request = newRequest();
    const refused = await times(10, (i) => logIn(request, { on: i, limit }));
    expect(new Set(refused)).toEqual(new Set(["limit_reached"]));
    await replicas.revoke(session);
    expect(isStored(await logIn(request, { limit }))).toBe(true);
  });

  test("repeats do not count against the limit or end sessions, among logins that do", async () => {
    const limit = [2, "end_oldest"] as const;
    const requests = Array.from({ length: 30 }, () => newRequest());
    const outcomes = await times(120, (i) => logIn(must(requests[i % 30]), { on: i % 7, limit }));
    expect(outcomes.filter(isStored)).toHaveLength(30);
    expect(new Set(outcomes.map(idOf)).size).toBe(30);
    expect(await countOf("sessions")).toBe(30);
    expect(await countOf("revocations")).toBe(28);
    const target = { scope: "member", id: ada } as const;
    expect(await replicas.store.revocations.countActive(project.id, target, at(0))).toBe(2);
  });

  test("calls with and without a limit agree on one session, as while a policy changes", async () => {
    for (let round = 0; round < 10; round++) {
      const request = newRequest();
      const of = { memberId: memberId(`m${round}`) };
      const outcomes = await times(20, (i) =>
        logIn(request, { on: i, limit: i % 4 < 2 ? undefined : [1, "end_oldest"], of }),
      );
      expect(outcomes.filter(isStored)).toHaveLength(1);
      expect(new Set(outcomes.map(idOf)).size).toBe(1);
    }
    expect(await countOf("revocations")).toBe(0);
  });

  test("a repeat returns the creation of a session that has ended", async () => {
    const request = newRequest();
    const first = idOf(await logIn(request));
    await replicas.revoke({ scope: "member", id: ada });
    expect(await logIn(request)).toMatchObject({ sessionId: first });
    expect((await find(first))?.revocation?.scope).toBe("member");
  });
}
