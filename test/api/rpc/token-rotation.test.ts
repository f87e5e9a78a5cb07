import { expect, test } from "vitest";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { TokenReuseAction } from "../../../gen/session/v1/project_pb.ts";
import { RevocationCause } from "../../../gen/session/v1/revocation_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import { curl } from "../../support/process/command.ts";
import { grpcJsCalls } from "../../support/process/grpc-js.ts";
import { newLogin, verdictOn } from "../../support/fixtures/logins.ts";
import { type RunningService, movableClock, runningService } from "../../support/fixtures/running-service.ts";
import { projectsOf, sessionsOf } from "../../support/fixtures/service-clients.ts";

const clock = movableClock();
const first = await runningService({ now: clock.now });
const second = await runningService({ now: clock.now, databaseUrl: first.databaseUrl });
await projectsOf(first).updatePolicy({
  projectId: first.projectId,
  policy: { tokenReuseAction: TokenReuseAction.REVOKE, tokenReuseLeeway: { seconds: 5n } },
});
const leeway = 5000;
const headers = { authorization: first.basic };
const onFirst = grpcJsCalls(SessionService, first);
const onSecond = grpcJsCalls(SessionService, second);

/** A login whose token was replaced before the leeway. */
async function rotated() {
  const login = await newLogin(first);
  const { token } = await onFirst.rotateToken({ token: login.token }, headers);
  clock.advance(leeway);
  return { login, old: login.token, token };
}

const endOf = async (service: RunningService, id: string) =>
  (await sessionsOf(service).get({ id })).session?.revokeCause;

test("concurrent rotations of a token over two replicas, gRPC and REST return one new token", async () => {
  const { id, token } = await newLogin(first);
  const byRest = async ({ url }: RunningService) => {
    const body = JSON.stringify({ token, issue_jwt: true });
    const request = { method: "POST", headers: { ...headers, "content-type": "application/json" }, body };
    const answer = await fetch(`${url}/session/v1/sessions:rotateToken`, request);
    const json = (await answer.json()) as { session: { id: string }; token: string; jwt: string };
    expect(json).toMatchObject({ session: { id, state: "SESSION_STATE_ACTIVE" } });
    expect(json.jwt).toMatch(/^[\w-]+(\.[\w-]+){2}$/);
    return json.token;
  };
  const answers = await Promise.all([
    ...Array.from({ length: 20 }, async (_, i) => {
      const { token: next } = await (i % 2 === 0 ? onFirst : onSecond).rotateToken({ token }, headers);
      return next;
    }),
    ...Array.from({ length: 10 }, (_, i) => byRest(i % 2 === 0 ? first : second)),
  ]);
  const [next = ""] = new Set(answers);
  expect(new Set(answers).size).toBe(1);
  expect(next).not.toBe(token);
  expect(await verdictOn(second, { token: next })).toBe("active");
});

test("a replaced token that is presented on one replica ends the session on both, and watchers receive it", async () => {
  const { login, old, token } = await rotated();
  const stopped = new AbortController();
  const heard = (async () => {
    const stream = sessionsOf(second).watchRevocations(
      { start: { case: "oldest", value: {} }, heartbeat: { nanos: 1e8 } },
      { signal: stopped.signal },
    );
    for await (const { revocations } of stream) {
      const found = revocations.find(({ targetId }) => targetId === login.id);
      if (found !== undefined) return found.cause;
    }
    return undefined;
  })();
  const refused = onFirst.authenticate({ credential: { case: "token", value: old } }, headers);
  const told = await refused.then(
    () => undefined,
    (error: unknown) => errorInfoOf(error),
  );
  expect(told).toMatchObject({ reason: "SESSION_REVOKED", metadata: { cause: "token_reuse" } });
  expect(await verdictOn(second, { token })).toBe("SESSION_REVOKED");
  expect(await endOf(second, login.id)).toBe(RevocationCause.TOKEN_REUSE);
  expect(await heard).toBe(RevocationCause.TOKEN_REUSE);
  const { revocations } = await sessionsOf(second).listRevocations({ actor: "policy" });
  expect(revocations).toContainEqual(expect.objectContaining({ targetId: login.id, actor: "policy" }));
  stopped.abort();
  expect(await verdictOn(second, { token: old })).toBe("SESSION_REVOKED");
});

test.each([
  {
    dialect: "Flashback",
    ask: (id: string) => ["-X", "POST", `${first.url}/sessions/${id}/revoke`],
    credential: (token: string) => `Authorization: Bearer ${token}`,
    answer: { status: 401, body: '{"success":false,"error":"Unauthorized"}' },
  },
  {
    dialect: "Kratos by header",
    ask: (id: string) => ["-X", "DELETE", `${first.url}/auth/sessions/${id}`],
    credential: (token: string) => `X-Session-Token: ${token}`,
    answer: { status: 401, body: /"reason":"No valid session cookie found\."/ },
  },
  {
    dialect: "Kratos by cookie",
    ask: (id: string) => ["-X", "DELETE", `${first.url}/auth/sessions/${id}`],
    credential: (token: string) => `Cookie: ory_kratos_session=${token}`,
    answer: { status: 401, body: /"reason":"No valid session cookie found\."/ },
  },
  {
    dialect: "Stytch B2B",
    ask: (id: string) => [
      "-H",
      `Authorization: ${first.basic}`,
      "--json",
      JSON.stringify({ member_session_id: id }),
      `${first.url}/v1/b2b/sessions/revoke`,
    ],
    credential: (token: string) => `X-Stytch-Member-Session: ${token}`,
    answer: { status: 401, body: /"error_type":"session_not_found"/ },
  },
])("an old token as the end user's own credential ends the session: $dialect", async (one) => {
  const { login, old } = await rotated();
  const spared = await newLogin(first, { memberId: login.memberId });
  const answer = await curl(...one.ask(spared.id), "-H", one.credential(old));
  expect(answer.status).toBe(one.answer.status);
  expect(answer.body).toMatch(one.answer.body);
  expect(await endOf(second, login.id)).toBe(RevocationCause.TOKEN_REUSE);
  expect(await verdictOn(second, spared)).toBe("active");
});

test("Stytch's revocation by a replaced token is not reuse", async () => {
  const { login, old } = await rotated();
  const body = JSON.stringify({ session_token: old });
  const url = `${first.url}/v1/sessions/revoke`;
  expect((await curl("-H", `Authorization: ${first.basic}`, "--json", body, url)).status).toBe(200);
  expect(await endOf(second, login.id)).toBe(RevocationCause.UNSPECIFIED);
});

test("names the field of a malformed token, and refuses end users", async () => {
  const { token } = await newLogin(first);
  const failure = (presented: string, authorization = first.basic) =>
    onFirst
      .rotateToken({ token: presented }, { authorization })
      .catch((error: unknown) => errorInfoOf(error)?.reason);
  for (const text of ["", "x".repeat(513)]) expect(await failure(text)).toBe("FIELD_INVALID");
  expect(await failure(token, `Bearer ${token}`)).toBe("CALLER_NOT_ALLOWED");
  expect(await verdictOn(second, { token })).toBe("active");
});
