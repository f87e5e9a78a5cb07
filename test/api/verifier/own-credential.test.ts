import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { type ClientOptions, InterceptingCall, type Interceptor, credentials, status } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { connectSessiond } from "../../../src/client/client.ts";
import { errorInfoOf, isSessionRefused } from "../../../src/client/error-info.ts";
import { grpcClient } from "../../../src/client/grpc.ts";
import { createVerifier } from "../../../src/client/verifier/verifier.ts";
import { guardedHandlers } from "../../support/fixtures/guarded-handlers.ts";
import { newLogin } from "../../support/fixtures/logins.ts";
import { basicAuthorization, runningService } from "../../support/fixtures/running-service.ts";
import { sessionsOf } from "../../support/fixtures/service-clients.ts";
import { answerTo, metadataOf } from "../../support/process/grpc-js.ts";

/** "The user's session is bad" and "my own secret was replaced" are both UNAUTHENTICATED, and must not be mixed up. */

const service = await runningService();
const { projectId, secret, url: baseUrl } = service;
const sessions = sessionsOf(service);
const active = await newLogin(service);
const revoked = await newLogin(service);
await sessions.revoke({ target: { case: "id", value: revoked.id } });

/** A secret that was valid once. */
const replaced = `ssk_${randomUUID()}`;
const errorOf = (call: Promise<unknown>) =>
  call.then(
    () => Promise.reject(new Error("the call did not fail")),
    (error: unknown) => error,
  );
const shown = ({ token }: { readonly token: string }) => ({
  credential: { case: "token", value: token } as const,
});

test("ready() of a verifier whose credential is refused fails with INTERNAL", async () => {
  const verifier = createVerifier({ baseUrl, credential: { projectId, secret: replaced } });
  onTestFinished(() => verifier.close());
  verifier.events.on("credentialRefused", () => undefined);
  expect(await errorOf(verifier.ready())).toMatchObject({ code: Code.Internal });
});

describe("the Connect client", () => {
  const clientWith = (own: string) => {
    const sessiond = connectSessiond({ baseUrl, credential: { projectId, secret: own } });
    onTestFinished(() => sessiond.close());
    return sessiond.sessions;
  };

  test("reports a refused session as UNAUTHENTICATED", async () => {
    const error = await errorOf(clientWith(secret).authenticate(shown(revoked)));
    expect(error).toMatchObject({ code: Code.Unauthenticated });
    expect(errorInfoOf(error)).toMatchObject({ reason: "SESSION_REVOKED" });
    expect(isSessionRefused(error)).toBe(true);
  });

  test.each([["Authenticate"], ["WatchRevocations"]])(
    "reports its own refused credential as INTERNAL, whatever the session: %s",
    async (method) => {
      const client = clientWith(replaced);
      const call = async () => {
        for await (const message of client.watchRevocations({}, { timeoutMs: 0 })) {
          throw new Error(message.position);
        }
      };
      const error = await errorOf(method === "Authenticate" ? client.authenticate(shown(revoked)) : call());
      expect(error).toMatchObject({
        code: Code.Internal,
        rawMessage: expect.stringMatching(/^the server refuses this service's own credential: /),
        cause: expect.objectContaining({ code: Code.Unauthenticated }),
      });
      expect(errorInfoOf(error)).toMatchObject({ reason: "CREDENTIAL_INVALID" });
      expect(isSessionRefused(error)).toBe(false);
    },
  );

  test("reports the session of an end user who calls as UNAUTHENTICATED", async () => {
    for (const bearer of [revoked.token, revoked.jwt, `${active.token}x`, "x".repeat(20_000)]) {
      const headers = { authorization: `Bearer ${bearer}` };
      const error = await errorOf(clientWith(replaced).list({}, { headers }));
      expect(error).toMatchObject({ code: Code.Unauthenticated });
      expect(isSessionRefused(error)).toBe(true);
    }
  });
});

describe("the grpc-js client", () => {
  const authorized = (own: string) => metadataOf({ authorization: basicAuthorization(projectId, own) });
  const clientWith = (options: ClientOptions) => {
    const client = grpcClient(
      SessionService,
      `127.0.0.1:${service.port}`,
      credentials.createInsecure(),
      options,
    );
    onTestFinished(() => client.close());
    return client;
  };
  const watching = async (client: ReturnType<typeof clientWith>) => {
    for await (const message of client.watchRevocations({}, authorized(replaced))) {
      throw new Error(String(message));
    }
  };
  let passed = 0;
  const other: Interceptor = (options, nextCall) => {
    passed++;
    return new InterceptingCall(nextCall(options));
  };

  test.each<[string, ClientOptions]>([
    ["no options", {}],
    ["interceptors of its own", { interceptors: [other] }],
    ["providers of interceptors", { interceptor_providers: [() => other] }],
  ])("reports only a refused session as UNAUTHENTICATED, with %s", async (_, options) => {
    const client = clientWith(options);
    passed = 0;
    const call = (own: string) =>
      errorOf(answerTo((done) => client.authenticate(shown(revoked), authorized(own), done)));
    const session = await call(secret);
    expect(session).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(errorInfoOf(session)).toMatchObject({ reason: "SESSION_REVOKED" });
    expect(isSessionRefused(session)).toBe(true);
    for (const own of [await call(replaced), await errorOf(watching(client))]) {
      const details = expect.stringMatching(/^the server refuses this service's own credential: /);
      expect(own).toMatchObject({ code: status.INTERNAL, details });
      expect(errorInfoOf(own)).toMatchObject({ reason: "CREDENTIAL_INVALID" });
      expect(isSessionRefused(own)).toBe(false);
    }
    expect(passed).toBe(Object.keys(options).length * 3);
  });
});

test.each([
  ["gRPC", createGrpcTransport({ baseUrl })],
  ["gRPC-Web", createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  ["Connect", createConnectTransport({ baseUrl, httpVersion: "1.1" })],
])("clients that cannot read details see the reason as a header or trailer: %s", async (_, transport) => {
  const client = createClient(SessionService, transport);
  const reasonFor = async (own: string) => {
    const headers = { authorization: basicAuthorization(projectId, own) };
    const error = await errorOf(client.authenticate(shown(revoked), { headers }));
    return ConnectError.from(error).metadata.get("sessiond-error-reason");
  };
  expect(await reasonFor(secret)).toBe("SESSION_REVOKED");
  expect(await reasonFor(replaced)).toBe("CREDENTIAL_INVALID");
});

describe.each(guardedHandlers)("%s", (_, call, answers) => {
  const verifierWith = (own: string) => {
    const verifier = createVerifier({ baseUrl, credential: { projectId, secret: own } });
    onTestFinished(() => verifier.close());
    return verifier;
  };

  test("answers 401 for a revoked session", async () => {
    const verifier = verifierWith(secret);
    await verifier.ready();
    expect(await call(verifier, { authorization: `Bearer ${revoked.jwt}` })).toEqual(answers[401]);
  });

  test("answers 503 for every session if its verifier's own credential is refused, and reports it once", async () => {
    const verifier = verifierWith(replaced);
    const refused: string[] = [];
    verifier.events.on("credentialRefused", (refusal) => refused.push(refusal.call));
    await once(verifier.events, "credentialRefused");
    for (const { jwt } of [active, revoked]) {
      expect(await verifier.verify(jwt)).toEqual({ ok: false, reason: "misconfigured" });
      expect(await call(verifier, { authorization: `Bearer ${jwt}` })).toEqual(answers[503]);
    }
    expect(refused).toEqual(["WatchRevocations", "Authenticate"]);
  });
});
