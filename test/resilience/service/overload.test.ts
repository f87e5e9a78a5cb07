import { Code, ConnectError } from "@connectrpc/connect";
import { type ServiceError, status } from "@grpc/grpc-js";
import { expect, test, vi } from "vitest";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import { grpcJsCalls } from "../../support/process/grpc-js.ts";
import { newLogin, newLogins, reasonOf, verdictOn } from "../../support/fixtures/logins.ts";
import { patience } from "../../support/patience.ts";
import { connectedClient, holding } from "../../support/postgres/operator.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";

const places = 4;
const service = await runningService({ environment: { SESSIOND_DATABASE_MAX_WAITING: String(places) } });
const operator = await connectedClient(service.databaseUrl);
const login = await newLogin(service);

/** Works while statements that conflict with a lock on these tables wait. */
const stalled = <T>(lock: string, work: () => Promise<T>) =>
  holding(operator, `lock table ${lock} mode`, work);

/** Fills the queue. Resolves when further calls were refused. */
async function fillUp(
  call: (i: number) => Promise<unknown>,
): Promise<{ answers: Promise<readonly unknown[]> }> {
  const refusals: unknown[] = [];
  const answers: unknown[] = [];
  const calls = Array.from({ length: places + 2 }, (_, i) =>
    call(i).then(
      (answer) => void answers.push(answer),
      (error: unknown) => void refusals.push(reasonOf(error)),
    ),
  );
  await vi.waitUntil(() => refusals.length === 2, patience);
  expect(refusals).toEqual(["OVERLOADED", "OVERLOADED"]);
  expect(answers).toEqual([]);
  return { answers: Promise.all(calls).then(() => answers) };
}

const membersOf = async (prefix: string) => {
  const { rows } = await operator.query<{ member_id: string }>(
    "select member_id from sessions where member_id like $1 order by 1",
    [`${prefix}%`],
  );
  return rows.map(({ member_id }) => member_id);
};

test("calls beyond the queue limit fail at once, in every protocol; queued calls are answered once", async () => {
  const { answers } = await stalled("projects, service_credentials in access exclusive", async () => {
    const full = await fillUp((i) => sessionsOf(service).create({ memberId: `waits ${i}` }));
    const post = (path: string, headers: Readonly<Record<string, string>>, body: object = {}) =>
      fetch(service.url + path, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      });
    const asService = { authorization: service.basic };
    const asMember = { authorization: `Bearer ${login.token}` };

    const grpc = grpcJsCalls(SessionService, service).create({ memberId: "waits not" }, asService);
    const error = (await grpc.catch((reason: unknown) => reason)) as ServiceError;
    expect(error.code).toBe(status.UNAVAILABLE);
    expect(error.details).toBe("too many calls wait for the database; try again");
    expect(errorInfoOf(error)?.reason).toBe("OVERLOADED");
    expect(error.metadata.get("retry-after")).toEqual(["1"]);

    const connect = await post("/session.v1.SessionService/Create", asService, { memberId: "waits not" });
    expect(connect.status).toBe(503);
    expect(connect.headers.get("retry-after")).toBe("1");
    expect(await connect.json()).toMatchObject({ code: "unavailable" });

    const rest = await post("/session/v1/sessions", asService, { member_id: "waits not" });
    expect(rest.status).toBe(503);
    expect(rest.headers.get("retry-after")).toBe("1");
    expect(await rest.json()).toMatchObject({ code: 14, details: [{ reason: "OVERLOADED" }, {}] });

    for (const path of ["/v1/sessions/revoke", "/v1/b2b/sessions/revoke"]) {
      const stytch = await post(path, asService, { session_token: "t" });
      expect(stytch.status).toBe(500);
      expect(stytch.headers.get("retry-after")).toBe("1");
      expect(await stytch.json()).toMatchObject({ status_code: 500, error_type: "internal_server_error" });
    }
    const flashback = await post("/sessions/revoke-all", asMember);
    expect(flashback.status).toBe(500);
    expect(await flashback.text()).toBe('{"success":false,"error":"Failed to revoke all sessions"}');
    const kratos = await fetch(`${service.url}/auth/sessions/${login.id}`, {
      method: "DELETE",
      headers: asMember,
    });
    expect(kratos.status).toBe(503);
    expect(await kratos.json()).toMatchObject({ error: { code: 503, status: "Service Unavailable" } });

    const healthz = await fetch(`${service.url}/healthz`);
    expect(healthz.status, "a full queue does not make the service unready").toBe(200);
    return full;
  });
  expect(await answers).toHaveLength(places);
  expect(await membersOf("waits")).toHaveLength(places);
  expect(await verdictOn(service, login)).toBe("active");
});

test("JWKS reads, which need no credential, do not use the queue of authenticated calls", async () => {
  const statuses: number[] = [];
  const read = async () => {
    const answer = await fetch(`${service.url}/session/v1/projects/${service.projectId}/jwks`);
    statuses.push(answer.status);
  };
  const crowd = await stalled("signing_keys in access exclusive", async () => {
    const reads = Array.from({ length: places + 2 }, read);
    await vi.waitUntil(() => statuses.length === places + 1, patience);
    expect(statuses).toEqual(Array(places + 1).fill(503));
    expect(await verdictOn(service, login)).toBe("active");
    return { reads };
  });
  await Promise.all(crowd.reads);
  expect(statuses.at(-1)).toBe(200);
});

test("answers reads while nothing can be written, not even access times", async () => {
  const logins = [...(await newLogins(service, places)), ...(await newLogins(service, places))];
  await operator.query("update sessions set last_access_time = last_access_time - interval '10 minutes'");
  const { answers } = await stalled("sessions in share", async () => {
    const full = await fillUp((i) => sessionsOf(service).create({ memberId: `writes ${i}` }));
    // After authentication of the writes, which is a read.
    await expect.poll(() => verdictOn(service, login), patience).toBe("active");
    for (const one of logins) expect(await verdictOn(service, one)).toBe("active");
    const revocation = sessionsOf(service).revoke({ target: { case: "id", value: login.id } });
    const error = ConnectError.from(await revocation.catch((reason: unknown) => reason));
    expect([error.code, reasonOf(error)]).toEqual([Code.Unavailable, "OVERLOADED"]);
    return full;
  });
  expect(await answers).toHaveLength(places);
  expect(await membersOf("writes")).toHaveLength(places);
  expect(await verdictOn(service, login), "its revocation was rejected").toBe("active");
});
