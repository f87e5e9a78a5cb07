import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { newLogin, newLogins, reasonOf, verdictOn } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";

const first = await runningService();
const second = await runningService({ databaseUrl: first.databaseUrl });
const clients = [sessionsOf(first), sessionsOf(second)] as const;
const clientOf = (turn: number) => clients[turn % 2 === 0 ? 0 : 1];
const byId = (id: string) => ({ target: { case: "id", value: id } }) as const;

const ask = (turn: number, token: string) =>
  clientOf(turn)
    .authenticate({ credential: { case: "token", value: token } })
    .then(() => "active", reasonOf);

test("a session of one replica is valid on the other, by token and by JWT", async () => {
  const { id, token, jwt } = await newLogin(first);
  for (const credential of [
    { case: "token", value: token },
    { case: "jwt", value: jwt },
  ] as const) {
    expect((await clients[1].authenticate({ credential })).session?.id).toBe(id);
  }
});

describe.each([
  { name: "the second replica rejects at once what the first revoked:", one: first, other: second },
  { name: "the first replica rejects at once what the second revoked:", one: second, other: first },
])("$name", ({ one, other }) => {
  test("one session", async () => {
    for (let round = 0; round < 10; round++) {
      const login = await newLogin(one);
      expect(await verdictOn(other, login)).toBe("active");
      await sessionsOf(one).revoke(byId(login.id));
      expect(await verdictOn(other, login)).toBe("SESSION_REVOKED");
      const byJwt = sessionsOf(other).authenticate({ credential: { case: "jwt", value: login.jwt } });
      expect(await byJwt.catch(reasonOf)).toBe("SESSION_REVOKED");
      expect(await sessionsOf(other, `Bearer ${login.token}`).list({}).catch(reasonOf)).toBe(
        "SESSION_REVOKED",
      );
    }
  });

  test("all of a member, an organization and a project", async () => {
    const organizationId = `org-${randomUUID()}`;
    const scopes = [
      ({ memberId }: { memberId: string }) => ({ case: "memberId", value: memberId }) as const,
      () => ({ case: "organizationId", value: organizationId }) as const,
      () => ({ case: "project", value: {} }) as const,
    ];
    for (const scopeOf of scopes) {
      const login = await newLogin(other, { organizationId });
      await sessionsOf(one).revokeAll({ scope: scopeOf(login) });
      expect(await verdictOn(other, login)).toBe("SESSION_REVOKED_BY_CUTOFF");
    }
  });
});

test("a hundred concurrent revocations of one id over both replicas have one revision", async () => {
  const { id } = await newLogin(first);
  const revoke = (_: unknown, turn: number) =>
    clientOf(turn).revoke({ ...byId(id), reason: `caller ${turn % 2}` });
  const receipts = await Promise.all(Array.from({ length: 100 }, revoke));
  expect(new Set(receipts.map(({ revision }) => revision)).size).toBe(1);
  const times = receipts.map(({ revokeTime }) => `${revokeTime?.seconds}.${revokeTime?.nanos}`);
  expect(new Set(times).size).toBe(1);
  expect(receipts.filter(({ revokedCount }) => revokedCount === 1n)).toHaveLength(1);
  const { revision } = await clients[0].revoke(byId((await newLogin(second)).id));
  expect(revision).toBe((receipts[0]?.revision ?? 0n) + 1n);
});

test("a hundred concurrent revocations over both replicas have a hundred revisions without a gap", async () => {
  const logins = await newLogins(first, 100);
  const receipts = await Promise.all(logins.map(({ id }, turn) => clientOf(turn).revoke(byId(id))));
  const revisions = receipts.map(({ revision }) => Number(revision)).toSorted((a, b) => a - b);
  expect(revisions).toEqual(Array.from({ length: 100 }, (_, i) => (revisions[0] ?? 0) + i));
  const verdicts = await Promise.all(logins.map(({ token }, turn) => ask(turn + 1, token)));
  expect(new Set(verdicts)).toEqual(new Set(["SESSION_REVOKED"]));
});

test("a call that starts after a revocation never gets the answer of an earlier call", async () => {
  for (let round = 0; round < 12; round++) {
    const { id, memberId, token } = await newLogin(first);
    const asking = new AbortController();
    const askers = Array.from({ length: 8 }, async (_, turn) => {
      while (!asking.signal.aborted) await ask(turn, token);
    });
    await ask(round, token);
    await (round % 3 === 0
      ? clientOf(round).revokeAll({ scope: { case: "memberId", value: memberId } })
      : clientOf(round).revoke(byId(id)));
    const verdicts = await Promise.all([0, 1, 2, 3].map((turn) => ask(turn, token)));
    asking.abort();
    await Promise.all(askers);
    const expected = round % 3 === 0 ? "SESSION_REVOKED_BY_CUTOFF" : "SESSION_REVOKED";
    expect(new Set(verdicts)).toEqual(new Set([expected]));
  }
});
