import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import { grpcJsCalls } from "../../support/process/grpc-js.ts";
import { newLogin, reasonOf, verdictOn } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";

const first = await runningService();
const second = await runningService({ databaseUrl: first.databaseUrl });
const headers = { authorization: first.basic };
const onFirst = grpcJsCalls(SessionService, first);
const onSecond = grpcJsCalls(SessionService, second);
/** Alternates between the replicas. */
const callsOf = (turn: number) => (turn % 2 === 0 ? onFirst : onSecond);

test("a session of one replica is valid on the other, by token and by JWT", async () => {
  const { id, token, jwt } = await newLogin(first);
  for (const credential of [
    { case: "token", value: token },
    { case: "jwt", value: jwt },
  ] as const) {
    expect((await onSecond.authenticate({ credential }, headers)).session?.id).toBe(id);
  }
});

describe.each([
  { name: "what the first ends the second refuses at once", one: first, other: second },
  { name: "what the second ends the first refuses at once", one: second, other: first },
])("$name", ({ one, other }) => {
  test("one session", async () => {
    for (let round = 0; round < 20; round++) {
      const login = await newLogin(one);
      expect(await verdictOn(other, login)).toBe("active");
      await sessionsOf(one).revoke({ target: { case: "id", value: login.id } });
      expect(await verdictOn(other, login)).toBe("SESSION_REVOKED");
      const byJwt = sessionsOf(other).authenticate({ credential: { case: "jwt", value: login.jwt } });
      expect(reasonOf(await byJwt.catch((error: unknown) => error))).toBe("SESSION_REVOKED");
      const own = sessionsOf(other, `Bearer ${login.token}`).list({});
      expect(reasonOf(await own.catch((error: unknown) => error))).toBe("SESSION_REVOKED");
    }
  });

  test("all of a member, an organization and a project", async () => {
    const organizationId = `org-${randomUUID()}`;
    const scopes = [
      ({ memberId }: { memberId: string }) => ({ case: "memberId", value: memberId }) as const,
      () => ({ case: "organizationId", value: organizationId }) as const,
      () => ({ case: "project", value: true }) as const,
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
  const revokeOn = (replica: number) =>
    callsOf(replica).revoke({ target: { case: "id", value: id }, reason: `caller ${replica}` }, headers);
  const receipts = await Promise.all(Array.from({ length: 100 }, (_, i) => revokeOn(i)));
  expect(new Set(receipts.map((receipt) => receipt.revision)).size).toBe(1);
  expect(new Set(receipts.map((receipt) => JSON.stringify(receipt.revokeTime, bigints))).size).toBe(1);
  expect(receipts.filter((receipt) => receipt.revokedCount === 1n)).toHaveLength(1);
  const { revision } = await sessionsOf(first).revoke({
    target: { case: "id", value: (await newLogin(second)).id },
  });
  expect(revision).toBe((receipts[0]?.revision ?? 0n) + 1n);
});

test("a hundred concurrent revocations over both replicas have a hundred revisions without a gap", async () => {
  const logins = await Promise.all(Array.from({ length: 100 }, () => newLogin(first)));
  const receipts = await Promise.all(
    logins.map(({ id }, i) => callsOf(i).revoke({ target: { case: "id", value: id } }, headers)),
  );
  const revisions = receipts.map((receipt) => Number(receipt.revision)).toSorted((a, b) => a - b);
  expect(revisions).toEqual(Array.from({ length: 100 }, (_, i) => (revisions[0] ?? 0) + i));
  const refused = await Promise.all(
    logins.map(({ token }, i) =>
      callsOf(i + 1)
        .authenticate({ credential: { case: "token", value: token } }, headers)
        .then(() => "active")
        .catch((error: unknown) => errorInfoOf(error)?.reason),
    ),
  );
  expect(new Set(refused)).toEqual(new Set(["SESSION_REVOKED"]));
});

test("a call that starts after a revocation never gets the answer of an earlier call", async () => {
  const ask = async (turn: number, token: string) =>
    callsOf(turn)
      .authenticate({ credential: { case: "token", value: token } }, headers)
      .then(() => "active")
      .catch((error: unknown) => errorInfoOf(error)?.reason);

  for (let round = 0; round < 12; round++) {
    const { id, memberId, token } = await newLogin(first);
    const asking = new AbortController();
    const askers = Array.from({ length: 8 }, async (_, turn) => {
      while (!asking.signal.aborted) await ask(turn, token);
    });
    await ask(round, token);
    await (round % 3 === 0
      ? callsOf(round).revokeAll({ scope: { case: "memberId", value: memberId } }, headers)
      : callsOf(round).revoke({ target: { case: "id", value: id } }, headers));
    const verdicts = await Promise.all([0, 1, 2, 3].map((turn) => ask(turn, token)));
    asking.abort();
    await Promise.all(askers);
    const expected = round % 3 === 0 ? "SESSION_REVOKED_BY_CUTOFF" : "SESSION_REVOKED";
    expect(new Set(verdicts)).toEqual(new Set([expected]));
  }
});

const bigints = (_key: string, value: unknown) => (typeof value === "bigint" ? String(value) : value);
