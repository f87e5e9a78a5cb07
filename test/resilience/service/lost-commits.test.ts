import { randomUUID } from "node:crypto";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SessionLimitAction } from "../../../gen/session/v1/project_pb.ts";
import { RevocationCause, SessionState } from "../../../gen/session/v1/session_pb.ts";
import { newLogin, reasonOf, verdictOn } from "../../support/fixtures/logins.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import type { Harm } from "../../support/postgres/relayed-connection.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";
import { createTestDatabase } from "../../support/postgres/test-database.ts";

// Connections that are reset around a commit, so that nobody is told what came of it: whoever asks again must get it right.

const database = await createTestDatabase();
afterAll(() => database.drop());
const relay = await startRelay(database.url);
afterAll(() => relay.close());
const service = await runningService({ databaseUrl: relay.url });
const sessions = sessionsOf(service);
const { projectId } = service;
const operator = new Client({ connectionString: database.url });
beforeAll(() => operator.connect());
afterAll(() => operator.end());

interface Way {
  readonly harm: Exclude<Harm, "silence">;
  /** Whether the statement has the deadline of a call, and then a commit of its own, or commits by itself. */
  readonly timeoutMs: number | undefined;
}
const ways: readonly Way[] = [
  { harm: "lost", timeoutMs: undefined },
  { harm: "lost", timeoutMs: 8000 },
  { harm: "unanswered", timeoutMs: undefined },
  { harm: "unanswered", timeoutMs: 8000 },
];

/** What a call is told whose commit comes to harm. */
async function harmed({ harm, timeoutMs }: Way, statement: RegExp, call: Call<unknown>): Promise<string> {
  const done =
    timeoutMs === undefined ? relay.harm(harm, statement) : relay.harm(harm, /^commit$/, statement);
  const told = await call(timeoutMs === undefined ? {} : { timeoutMs }).then(() => "answered", reasonOf);
  await done;
  return told;
}
type Call<T> = (options?: { readonly timeoutMs?: number }) => Promise<T>;

/** The revisions in the log that ended this session, or this member's. */
async function revisionsOf(targetId: string): Promise<readonly bigint[]> {
  return (await logged()).filter((entry) => entry.targetId === targetId).map(({ revision }) => revision);
}

/** The whole log, in order. */
async function logged(): Promise<readonly { targetId: string; revision: bigint; time: number }[]> {
  const { rows } = await operator.query<{ revision: string; target_id: string; revoke_time: Date }>(
    "select revision, target_id, revoke_time from revocations where project_id = $1 order by revision",
    [projectId],
  );
  return rows.map(({ revision, target_id, revoke_time }) => ({
    targetId: target_id,
    revision: BigInt(revision),
    time: revoke_time.getTime(),
  }));
}

async function countOf(what: string, id: string): Promise<number> {
  const { rows } = await operator.query<{ count: string }>(`select count(*) from ${what} = $1`, [id]);
  return Number(rows[0]?.count);
}

const revocation = /insert into revocations/;
const idOf = ({ id }: { readonly id: string }) => ({ case: "id", value: id }) as const;

describe.each(ways)("a commit that is $harm, of a call with the deadline $timeoutMs:", (way) => {
  const isDone = way.harm === "unanswered";

  test.each(["id", "token"] as const)("Revoke by %s records the end of the session once", async (by) => {
    const login = await newLogin(service);
    const revoke: Call<{ revision: bigint }> = (options) =>
      sessions.revoke({ target: { case: by, value: login[by] } }, options);
    expect(await harmed(way, revocation, revoke)).toBe("DATABASE_UNAVAILABLE");
    const found = await revisionsOf(login.id);
    expect(found).toHaveLength(isDone ? 1 : 0);
    expect(await verdictOn(service, login)).toBe(isDone ? "SESSION_REVOKED" : "active");

    const again = await sessions.revoke({ target: idOf(login) });
    expect(again.revokedCount).toBe(isDone ? 0n : 1n);
    expect(await revisionsOf(login.id)).toEqual(isDone ? found : [again.revision]);
    const third = await sessions.revoke({ target: idOf(login) });
    expect([third.revision, third.revokeTime]).toEqual([again.revision, again.revokeTime]);
    expect(await revisionsOf(login.id)).toEqual([again.revision]);
    expect(await verdictOn(service, login)).toBe("SESSION_REVOKED");
  });

  test("RevokeAll ends what was there, and what is asked again ends nothing else", async () => {
    const login = await newLogin(service);
    const { memberId } = login;
    const scope = { case: "memberId", value: memberId } as const;
    const first: Call<unknown> = (options) => sessions.revokeAll({ scope, reason: "first" }, options);
    expect(await harmed(way, revocation, first)).toBe("DATABASE_UNAVAILABLE");
    expect(await revisionsOf(memberId)).toHaveLength(isDone ? 1 : 0);
    const { revision } = await sessions.revokeAll({ scope, reason: "second" });
    expect((await revisionsOf(memberId)).at(-1)).toBe(revision);
    expect(await revisionsOf(memberId)).toHaveLength(isDone ? 2 : 1);
    const { session } = await sessions.get({ id: login.id });
    expect(session?.revokeReason).toBe(isDone ? "first" : "second");
    expect(await verdictOn(service, await newLogin(service, { memberId }))).toBe("active");
  });

  test("Create acknowledges nothing that is not there", async () => {
    const memberId = randomUUID();
    const create: Call<unknown> = (options) => sessions.create({ memberId }, options);
    expect(await harmed(way, /insert into sessions/, create)).toBe("DATABASE_UNAVAILABLE");
    const before = await countOf("sessions where member_id", memberId);
    expect(before).toBe(isDone ? 1 : 0);
    expect(await verdictOn(service, await newLogin(service, { memberId }))).toBe("active");
    expect(await countOf("sessions where member_id", memberId)).toBe(before + 1);
  });

  test("RotateToken leads to one successor", async () => {
    const login = await newLogin(service);
    const rotate: Call<{ token: string }> = (options) =>
      sessions.rotateToken({ token: login.token }, options);
    const tokens = () => countOf("session_tokens where session_id", login.id);
    expect(await harmed(way, /update session_tokens/, rotate)).toBe("DATABASE_UNAVAILABLE");
    expect(await tokens()).toBe(isDone ? 2 : 1);
    const next = await rotate();
    expect((await rotate()).token).toBe(next.token);
    expect(await tokens()).toBe(2);
    expect(await verdictOn(service, next)).toBe("active");
  });
});

test.each(["lost", "unanswered"] as const)(
  "a login within a limit whose commit is %s: the one that is asked for again is the one that is active",
  async (harm) => {
    const limit = { maxSessionsPerMember: 1, sessionLimitAction: SessionLimitAction.END_OLDEST };
    await projectsOf(service).updatePolicy({ projectId, policy: limit });
    const memberId = randomUUID();
    const oldest = await newLogin(service, { memberId });
    const done = relay.harm(harm, /^commit$/);
    expect(await sessions.create({ memberId }).catch(reasonOf)).toBe("DATABASE_UNAVAILABLE");
    await done;
    expect(await verdictOn(service, oldest)).toBe(harm === "lost" ? "active" : "SESSION_REVOKED");
    const login = await newLogin(service, { memberId });
    expect(await verdictOn(service, login)).toBe("active");
    const list = async (state: SessionState) => (await sessions.list({ memberId, state })).sessions;
    expect(await list(SessionState.ACTIVE)).toMatchObject([{ id: login.id }]);
    const ended = await list(SessionState.REVOKED);
    expect(ended).toHaveLength(harm === "lost" ? 1 : 2);
    expect(new Set(ended.map(({ revokeCause }) => revokeCause))).toEqual(
      new Set([RevocationCause.SESSION_LIMIT]),
    );
    await projectsOf(service).updatePolicy({ projectId, policy: {} });
  },
);

test.each(["lost", "unanswered"] as const)(
  "of many revocations at once, whose commit is %s, each is in the log once, whoever asks again",
  async (harm) => {
    const logins = await Promise.all(Array.from({ length: 20 }, () => newLogin(service)));
    const revoke = (login: { readonly id: string }) => sessions.revoke({ target: idOf(login) });
    const done = relay.harm(harm, revocation);
    const first = await Promise.all(logins.map((login) => revoke(login).catch(reasonOf)));
    await done;
    expect(first).toContain("DATABASE_UNAVAILABLE");
    const again = await Promise.all(logins.map(revoke));
    const ids = new Set(logins.map(({ id }) => id));
    const inLog = (await logged()).filter(({ targetId }) => ids.has(targetId));
    expect(new Map(inLog.map(({ targetId, revision }) => [targetId, revision]))).toEqual(
      new Map(logins.map(({ id }, i) => [id, again[i]?.revision])),
    );
    expect(inLog).toHaveLength(logins.length);
    // Who was answered the first time was told the same.
    const told = first.map((answer, i) => (answer === "DATABASE_UNAVAILABLE" ? again[i] : answer));
    expect(told).toMatchObject(again.map(({ revision, revokeTime }) => ({ revision, revokeTime })));
  },
);

test("after all that no revision is missing or there twice, in the log and for who watches", async () => {
  const log = await logged();
  expect(log.length).toBeGreaterThan(40);
  expect(log.map(({ revision }) => Number(revision))).toEqual(log.map((_, i) => i + 1));
  const start = { case: "oldest", value: true } as const;
  const watched: { revision: bigint; time: number | undefined }[] = [];
  for await (const { revocations, caughtUp } of sessions.watchRevocations({ start })) {
    for (const { revision, revokeTime } of revocations) {
      watched.push({ revision, time: revokeTime && timestampMs(revokeTime) });
    }
    if (caughtUp) break;
  }
  expect(watched).toEqual(log.map(({ revision, time }) => ({ revision, time })));
});
