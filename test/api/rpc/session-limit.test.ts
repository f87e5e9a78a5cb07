import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { SessionLimitAction, TokenReuseAction } from "../../../gen/session/v1/project_pb.ts";
import { SessionState } from "../../../gen/session/v1/session_pb.ts";
import { RevocationCause } from "../../../gen/session/v1/revocation_pb.ts";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import { grpcJsCalls } from "../../support/process/grpc-js.ts";
import { newLogin, reasonOf, verdictOn } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";

const first = await runningService();
const second = await runningService({ databaseUrl: first.databaseUrl });
const { projectId } = first;
const headers = { authorization: first.basic };
const calls = [grpcJsCalls(SessionService, first), grpcJsCalls(SessionService, second)] as const;
const limit = (maxSessionsPerMember: number, sessionLimitAction: SessionLimitAction) =>
  projectsOf(first).updatePolicy({ projectId, policy: { maxSessionsPerMember, sessionLimitAction } });

/** Results of concurrent logins of one member, over both replicas: ids or reasons. */
const logInAtOnce = (memberId: string, count: number) =>
  Promise.all(
    Array.from({ length: count }, (_, i) =>
      calls[i % 2 === 0 ? 0 : 1].create({ memberId }, headers).then(
        ({ session }) => session?.id ?? "",
        (error: unknown) => errorInfoOf(error)?.reason ?? "",
      ),
    ),
  );

async function sessionsOfMember(memberId: string, state: SessionState) {
  return (await sessionsOf(second).list({ memberId, state, pageSize: 1000 })).sessions;
}

test("refuses concurrent logins beyond the limit", async () => {
  const memberId = randomUUID();
  await limit(2, SessionLimitAction.REFUSE);
  const outcomes = await logInAtOnce(memberId, 40);
  expect(outcomes.filter((outcome) => outcome === "SESSION_LIMIT_REACHED")).toHaveLength(38);
  expect(await sessionsOfMember(memberId, SessionState.ACTIVE)).toHaveLength(2);

  const refused = await fetch(`${second.url}/session/v1/sessions`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({ member_id: memberId }),
  });
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({
    code: 9,
    details: [{ reason: "SESSION_LIMIT_REACHED", metadata: { max_sessions_per_member: "2" } }],
  });

  await limit(3, SessionLimitAction.REFUSE);
  const { id } = await newLogin(second, { memberId });
  const oneMore = sessionsOf(first).create({ memberId });
  expect(reasonOf(await oneMore.catch((error: unknown) => error))).toBe("SESSION_LIMIT_REACHED");
  await sessionsOf(second).revoke({ target: { case: "id", value: id } });
  await newLogin(first, { memberId });
  await limit(0, SessionLimitAction.REFUSE);
  await newLogin(second, { memberId });
});

test("concurrent logins end the oldest session, which both replicas refuse with a reason", async () => {
  const memberId = randomUUID();
  const oldest = await newLogin(first, { memberId });
  await limit(2, SessionLimitAction.END_OLDEST);
  const created = await logInAtOnce(memberId, 40);
  const active = await sessionsOfMember(memberId, SessionState.ACTIVE);
  expect(active).toHaveLength(2);
  expect(created).toEqual(expect.arrayContaining(active.map(({ id }) => id)));
  const ended = await sessionsOfMember(memberId, SessionState.REVOKED);
  expect(ended).toHaveLength(39);
  expect(new Set(ended.map(({ revokeCause }) => revokeCause))).toEqual(
    new Set([RevocationCause.SESSION_LIMIT]),
  );
  expect(ended.every(({ revokeActor }) => revokeActor.startsWith("service/"))).toBe(true);
  for (const service of [first, second]) expect(await verdictOn(service, oldest)).toBe("SESSION_REVOKED");
});

test("the policy shows values and defaults, and refuses values out of bounds", async () => {
  const policy = {
    maxSessionsPerMember: 1000,
    sessionLimitAction: SessionLimitAction.END_OLDEST,
    tokenReuseAction: TokenReuseAction.REVOKE,
    tokenReuseLeeway: { seconds: 0n, nanos: 0 },
  };
  const set = await projectsOf(first).updatePolicy({ projectId, policy });
  expect(set.project?.policy).toMatchObject(policy);
  expect(
    (await projectsOf(second).updatePolicy({ projectId, updateMask: { paths: ["*"] } })).project?.policy,
  ).toMatchObject({
    maxSessionsPerMember: 0,
    sessionLimitAction: SessionLimitAction.REFUSE,
    tokenReuseAction: TokenReuseAction.REFUSE,
    tokenReuseLeeway: { seconds: 10n, nanos: 0 },
  });
  for (const wrong of [
    { maxSessionsPerMember: -1 },
    { maxSessionsPerMember: 1001 },
    { sessionLimitAction: 9 as SessionLimitAction },
    { tokenReuseAction: 9 as TokenReuseAction },
    { tokenReuseLeeway: { seconds: 61n } },
    { tokenReuseLeeway: { seconds: -1n } },
  ]) {
    const refused = projectsOf(first).updatePolicy({ projectId, policy: wrong });
    expect(reasonOf(await refused.catch((error: unknown) => error))).toBe("FIELD_INVALID");
  }
});
