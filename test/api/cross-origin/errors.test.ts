import { describe, expect, test } from "vitest";
import { newLogin } from "../../support/fixtures/logins.ts";
import { relayedService } from "../../support/fixtures/relayed-service.ts";
import { basicAuthorization } from "../../support/fixtures/running-service.ts";
import { type Call, requestOf } from "../http/calls.ts";
import type { Sent } from "../http/exchange.ts";
import { app, environment, grantIn, login, transports } from "./grant.ts";

const { service, relay } = await relayedService({
  ...environment,
  SESSIOND_CALLS_PER_SECOND_PER_MEMBER: "0.001",
  SESSIOND_CALL_BURST_PER_MEMBER: "1",
});
const { id, token } = await newLogin(service);
const { token: unused } = await newLogin(service);

const authorization = service.basic;
const get: Call = { method: "get", message: { id } };
const large: Call = { method: "create", message: { memberId: "a".repeat(1_100_000) } };

function request(sent: Sent, headers: Sent["headers"], origin = app): Sent {
  return { ...sent, headers: { ...sent.headers, ...headers, origin } };
}

describe.each(transports)("a page of an allowed origin can read, over %s,", (_, send) => {
  test.each(["Connect", "REST"] as const)("401 of %s with its challenge", async (protocol) => {
    const wrong = basicAuthorization(service.projectId, "wrong");
    const answer = await send(service.port, request(requestOf(protocol, get), { authorization: wrong }));
    expect(answer).toMatchObject({ status: 401, headers: { "www-authenticate": "Bearer" } });
    expect(grantIn(answer).origin).toBe(app);
  });

  test.each([
    ["Connect", 429],
    ["REST", 413],
  ] as const)("the answer of %s to a message that is too large", async (protocol, status) => {
    const answer = await send(service.port, request(requestOf(protocol, large), { authorization }));
    expect({ status: answer.status, origin: grantIn(answer).origin }).toEqual({ status, origin: app });
  });

  test.each(["Connect", "REST"] as const)("429 of %s with Retry-After", async (protocol) => {
    const sent = request(requestOf(protocol, get), { "x-session-token": token });
    await send(service.port, sent);
    const answer = await send(service.port, sent);
    expect(answer).toMatchObject({
      status: 429,
      headers: { "retry-after": expect.stringMatching(/^\d+$/), "x-request-id": expect.any(String) },
    });
    expect(grantIn(answer)).toMatchObject({ origin: app, exposed: expect.arrayContaining(["retry-after"]) });
  });

  test("503 of every protocol", async () => {
    relay.cut();
    const unavailable = async (sent: Sent, origin: string) => {
      const answer = await send(service.port, request(sent, { authorization }, origin));
      return [answer.status, grantIn(answer).origin];
    };
    expect(await unavailable(requestOf("Connect", get), app)).toEqual([503, app]);
    expect(await unavailable(requestOf("REST", get), app)).toEqual([503, app]);
    expect(await unavailable(requestOf("gRPC-Web", get), app)).toEqual([200, app]);
    const kratos: Sent = { verb: "DELETE", target: `/auth/sessions/${id}`, headers: {} };
    const bySession = { ...kratos, headers: { "x-session-token": unused } };
    expect(await unavailable(bySession, login)).toEqual([503, login]);
    relay.mend();
  });
});
