import { once } from "node:events";
import { Code, ConnectError } from "@connectrpc/connect";
import { credentials, status } from "@grpc/grpc-js";
import { expect, onTestFinished, test, vi } from "vitest";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { connectSessiond } from "../../../src/client/client.ts";
import { grpcClient } from "../../../src/client/grpc.ts";
import { createVerifier } from "../../../src/client/verifier/verifier.ts";
import { newLogin } from "../../support/fixtures/logins.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { startRelay } from "../../support/postgres/relay.ts";
import { answerTo, metadataOf } from "../../support/process/grpc-js.ts";

/** Connections that a middlebox has forgotten: nothing passes any more, not even a close. New connections work. */

const service = await runningService();
const { projectId, secret, basic } = service;
const { id, jwt } = await newLogin(service);

/** Time within which a connection is found dead while calls wait, with a margin for a busy machine. */
const bound = { timeout: 8000 + 6000, interval: 10 };

/** A way to the service. `forget` makes its connections silent. */
async function way() {
  const relay = await startRelay(service.url);
  onTestFinished(() => relay.close());
  const forget = () => {
    relay.fallSilent();
    relay.mend();
  };
  return { baseUrl: new URL(relay.url).origin, forget };
}

/** A client with a connection that is forgotten. */
async function forgotten() {
  const { baseUrl, forget } = await way();
  const sessiond = connectSessiond({ baseUrl, credential: { projectId, secret } });
  onTestFinished(() => sessiond.close());
  const { sessions } = sessiond;
  await sessions.get({ id });
  forget();
  return {
    sessions,
    codeOf: (call: Promise<unknown>) =>
      call.then(
        () => "ok",
        (error: unknown) => ConnectError.from(error).code,
      ),
  };
}

test("a call after one that missed its deadline succeeds", async () => {
  const { sessions, codeOf } = await forgotten();
  const timeoutMs = 1000;
  const calls = [sessions.get({ id }, { timeoutMs }), sessions.get({ id }, { timeoutMs })];
  expect(await Promise.all(calls.map(codeOf))).toEqual([Code.DeadlineExceeded, Code.DeadlineExceeded]);
  expect(await codeOf(sessions.get({ id }, { timeoutMs: 10_000 }))).toBe("ok");
});

test("calls with deadlines shorter than any ping recover", async () => {
  const { sessions } = await forgotten();
  const call = () => sessions.get({ id }, { timeoutMs: 200 });
  expect(await vi.waitFor(call, { timeout: 6000, interval: 10 })).toMatchObject({ session: { id } });
});

test("a call without a deadline and a stream fail when a ping is not answered, and repeat at once", async () => {
  const { sessions, codeOf } = await forgotten();
  const watch = async () => {
    for await (const message of sessions.watchRevocations({}, { timeoutMs: 0 })) {
      throw new Error(`the lost connection delivered ${message.position}`);
    }
  };
  const calls = Promise.all([codeOf(sessions.get({ id }, { timeoutMs: 0 })), codeOf(watch())]);
  expect(await vi.waitFor(() => calls, bound)).toEqual([Code.Unavailable, Code.Unavailable]);
  expect(await codeOf(sessions.get({ id }))).toBe("ok");
});

test("a call whose check of the connection is cut short by the end of another recovers", async () => {
  const { sessions, codeOf } = await forgotten();
  // The first call ends while the second one waits for the check, which starts after 4 s without data.
  const first = codeOf(sessions.get({ id }, { timeoutMs: 6000 }));
  expect(await codeOf(sessions.get({ id }, { timeoutMs: 4500 }))).toBe(Code.DeadlineExceeded);
  const later = codeOf(sessions.get({ id }, { timeoutMs: 0 }));
  expect(await first).not.toBe("ok");
  await vi.waitFor(async () => expect(await later).toBe("ok"), bound);
});

test("a grpc-js client recovers", async () => {
  const { baseUrl, forget } = await way();
  const client = grpcClient(SessionService, new URL(baseUrl).host, credentials.createInsecure());
  onTestFinished(() => client.close());
  const get = () =>
    answerTo((done) =>
      client.get({ id }, metadataOf({ authorization: basic }), { deadline: Date.now() + 2000 }, done),
    );
  await get();
  forget();
  await expect(get()).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
  await vi.waitFor(get, bound);
});

test("a verifier that asks the server recovers after one call", async () => {
  const { baseUrl, forget } = await way();
  const verifier = createVerifier({
    baseUrl,
    credential: { projectId, secret },
    // Without a stream in reach of this test every JWT is asked for.
    maxStaleness: 300,
    heartbeat: 150,
    askTimeout: 1000,
  });
  onTestFinished(() => verifier.close());
  await verifier.ready();
  expect(await verifier.verify(jwt)).toMatchObject({ ok: true });
  forget();
  await once(verifier.events, "stale");
  await vi.waitFor(async () => expect(await verifier.verify(jwt)).toMatchObject({ ok: true }), bound);
  await vi.waitUntil(() => verifier.status().fresh, bound);
});
