import { randomUUID } from "node:crypto";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { SessionLimitAction } from "../../../gen/session/v1/project_pb.ts";
import { type Session, SessionState } from "../../../gen/session/v1/session_pb.ts";
import { RevocationCause } from "../../../gen/session/v1/revocation_pb.ts";
import { newLogin, reasonOf, verdictOn } from "../../support/fixtures/logins.ts";
import { connectedClient } from "../../support/postgres/operator.ts";
import type { Fault } from "../../support/postgres/relayed-connection.ts";
import { relayedService } from "../../support/fixtures/relayed-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";

// Connections that are reset around a commit, so that its outcome is unknown. A retry must get the right result.

const { service, relay, directUrl } = await relayedService();
const sessions = sessionsOf(service);
const { projectId } = service;
const operator = await connectedClient(directUrl);

interface Way {
  readonly fault: Exclude<Fault, "silence">;
  readonly timeoutMs: number | undefined;
}
const faults = ["lost", "unanswered"] as const;
const ways = faults.flatMap((fault): Way[] => [
  { fault, timeoutMs: undefined },
  { fault, timeoutMs: 8000 },
]);

/** Reason of a call whose commit is lost. */
async function attempt({ fault, timeoutMs }: Way, statement: RegExp, call: Call<unknown>): Promise<string> {
  const done = relay.injectFault(fault, /^commit$/, statement);
  const outcome = await call(timeoutMs === undefined ? {} : { timeoutMs }).then(() => "answered", reasonOf);
  await done;
  return outcome;
}
type Call<T> = (options?: { readonly timeoutMs?: number }) => Promise<T>;

/** Revisions in the log with this session or member as target. */
async function revisionsOf(targetId: string): Promise<readonly bigint[]> {
  return (await logged()).filter((entry) => entry.targetId === targetId).map(({ revision }) => revision);
}

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

describe.each(ways)("a commit that is $fault, of a call with the deadline $timeoutMs:", (way) => {
  const isDone = way.fault === "unanswered";

  test.each(["id", "token"] as const)("Revoke by %s records the end of the session once", async (by) => {
    const login = await newLogin(service);
    const revoke: Call<{ revision: bigint }> = (options) =>
      sessions.revoke({ target: { case: by, value: login[by] } }, options);
    expect(await attempt(way, revocation, revoke)).toBe("DATABASE_UNAVAILABLE");
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

  test("RevokeAll ends existing sessions; its retry ends no newer one", async () => {
    const login = await newLogin(service);
    const { memberId } = login;
    const scope = { case: "memberId", value: memberId } as const;
    const first: Call<unknown> = (options) => sessions.revokeAll({ scope, reason: "first" }, options);
    expect(await attempt(way, revocation, first)).toBe("DATABASE_UNAVAILABLE");
    expect(await revisionsOf(memberId)).toHaveLength(isDone ? 1 : 0);
    const { revision } = await sessions.revokeAll({ scope, reason: "second" });
    expect((await revisionsOf(memberId)).at(-1)).toBe(revision);
    expect(await revisionsOf(memberId)).toHaveLength(isDone ? 2 : 1);
    const { session } = await sessions.get({ id: login.id });
    expect(session?.revokeReason).toBe(isDone ? "first" : "second");
    expect(await verdictOn(service, await newLogin(service, { memberId }))).toBe("active");
  });

  test("Create acknowledges only stored sessions", async () => {
    const memberId = randomUUID();
    const create: Call<unknown> = (options) => sessions.create({ memberId }, options);
    expect(await attempt(way, /insert into sessions/, create)).toBe("DATABASE_UNAVAILABLE");
    const before = await countOf("sessions where member_id", memberId);
    expect(before).toBe(isDone ? 1 : 0);
    expect(await verdictOn(service, await newLogin(service, { memberId }))).toBe("active");
    expect(await countOf("sessions where member_id", memberId)).toBe(before + 1);
  });

  test("Create with a request id stores one session, which a repeat returns", async () => {
    const request = { memberId: randomUUID(), requestId: randomUUID() };
    const create: Call<{ token: string; session?: Session | undefined }> = (options) =>
      sessions.create(request, options);
    expect(await attempt(way, /insert into sessions/, create)).toBe("DATABASE_UNAVAILABLE");
    const stored = () => countOf("sessions where member_id", request.memberId);
    expect(await stored()).toBe(isDone ? 1 : 0);
    const repeats = await Promise.all(Array.from({ length: 5 }, () => create()));
    expect(await stored()).toBe(1);
    expect(new Set(repeats.map(({ token, session }) => `${session?.id} ${token}`)).size).toBe(1);
    for (const repeat of repeats) expect(await verdictOn(service, repeat)).toBe("active");
  });

  test("RotateToken creates one successor", async () => {
    const login = await newLogin(service);
    const rotate: Call<{ token: string }> = (options) =>
      sessions.rotateToken({ token: login.token }, options);
    const tokens = () => countOf("session_tokens where session_id", login.id);
    expect(await attempt(way, /update session_tokens/, rotate)).toBe("DATABASE_UNAVAILABLE");
    expect(await tokens()).toBe(isDone ? 2 : 1);
    const next = await rotate();
    expect((await rotate()).token).toBe(next.token);
    expect(await tokens()).toBe(2);
    expect(await verdictOn(service, next)).toBe("active");
  });
});

test.each(faults)(
  "after a login within a limit whose commit is %s, only the retried login is active",
  async (fault) => {
    const limit = { maxSessionsPerMember: 1, sessionLimitAction: SessionLimitAction.END_OLDEST };
    await projectsOf(service).updatePolicy({ projectId, policy: limit });
    const memberId = randomUUID();
    const oldest = await newLogin(service, { memberId });
    const done = relay.injectFault(fault, /^commit$/, revocation);
    expect(await sessions.create({ memberId }).catch(reasonOf)).toBe("DATABASE_UNAVAILABLE");
    await done;
    expect(await verdictOn(service, oldest)).toBe(fault === "lost" ? "active" : "SESSION_REVOKED");
    const login = await newLogin(service, { memberId });
    expect(await verdictOn(service, login)).toBe("active");
    const list = async (state: SessionState) => (await sessions.list({ memberId, state })).sessions;
    expect(await list(SessionState.ACTIVE)).toMatchObject([{ id: login.id }]);
    const ended = await list(SessionState.REVOKED);
    expect(ended).toHaveLength(fault === "lost" ? 1 : 2);
    expect(new Set(ended.map(({ revokeCause }) => revokeCause))).toEqual(
      new Set([RevocationCause.SESSION_LIMIT]),
    );
    await projectsOf(service).updatePolicy({ projectId, updateMask: { paths: ["*"] } });
  },
);

test.each(faults)(
  "a login within a limit whose commit is %s is repeated with its request id, and ends one session",
  async (fault) => {
    const limit = { maxSessionsPerMember: 1, sessionLimitAction: SessionLimitAction.END_OLDEST };
    await projectsOf(service).updatePolicy({ projectId, policy: limit });
    const request = { memberId: randomUUID(), requestId: randomUUID() };
    const oldest = await newLogin(service, { memberId: request.memberId });
    const done = relay.injectFault(fault, /^commit$/, revocation);
    expect(await sessions.create(request).catch(reasonOf)).toBe("DATABASE_UNAVAILABLE");
    await done;
    const login = await newLogin(service, request);
    expect((await newLogin(service, request)).token).toBe(login.token);
    expect(await verdictOn(service, login)).toBe("active");
    expect(await verdictOn(service, oldest)).toBe("SESSION_REVOKED");
    expect(await countOf("sessions where member_id", request.memberId)).toBe(2);
    await projectsOf(service).updatePolicy({ projectId, updateMask: { paths: ["*"] } });
  },
);

test.each(faults)(
  "concurrent revocations whose commit is %s, and their retries, are in the log once",
  async (fault) => {
    const logins = await Promise.all(Array.from({ length: 20 }, () => newLogin(service)));
    const revoke = (login: { readonly id: string }) => sessions.revoke({ target: idOf(login) });
    const done = relay.injectFault(fault, revocation);
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
    // Calls that succeeded at first got the same answer.
    const answers = first.map((answer, i) => (answer === "DATABASE_UNAVAILABLE" ? again[i] : answer));
    expect(answers).toMatchObject(again.map(({ revision, revokeTime }) => ({ revision, revokeTime })));
  },
);

test("revisions have no gap or duplicate, in the log and for a watcher", async () => {
  const log = await logged();
  expect(log.length).toBeGreaterThan(40);
  expect(log.map(({ revision }) => Number(revision))).toEqual(log.map((_, i) => i + 1));
  const start = { case: "oldest", value: {} } as const;
  const watched: { revision: bigint; time: number | undefined }[] = [];
  for await (const { revocations, upToDate } of sessions.watchRevocations({ start })) {
    for (const { revision, revokeTime } of revocations) {
      watched.push({ revision, time: revokeTime && timestampMs(revokeTime) });
    }
    if (upToDate) break;
  }
  expect(watched).toEqual(log.map(({ revision, time }) => ({ revision, time })));
});
