import { Permission } from "../../../gen/session/v1/project_pb.ts";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { SessionService, type WatchRevocationsResponse } from "../../../gen/session/v1/session_service_pb.ts";
import { RevocationScope } from "../../../gen/session/v1/revocation_pb.ts";
import { errorInfoOf } from "../../../src/client/error-info.ts";
import { connectSessiond } from "../../../src/client/client.ts";
import { foreignPosition, positionAt } from "../../support/fixtures/positions.ts";
import { movableClock, runningService } from "../../support/fixtures/running-service.ts";

const one = await runningService();
const other = await runningService({
  databaseUrl: one.databaseUrl,
  environment: { SESSIOND_DATABASE_NOTIFY: "off" },
});

const clientOf = ({ url, projectId, secret }: typeof one) =>
  connectSessiond({ baseUrl: url, credential: { projectId, secret }, defaultTimeoutMs: 20_000 }).sessions;
const sessions = clientOf(one);
const polled = clientOf(other);

type Watch = Parameters<typeof sessions.watchRevocations>[0];

/** A stream to read message by message. */
function watching(watch: Watch, client = sessions) {
  const end = new AbortController();
  const stream = client.watchRevocations(watch, { signal: end.signal })[Symbol.asyncIterator]();
  const next = async (): Promise<WatchRevocationsResponse> => {
    const { value, done } = await stream.next();
    if (done === true) throw new Error("the stream ended");
    return value;
  };
  /** The revocations up to this revision. */
  const until = async (revision: bigint) => {
    const seen = [];
    for (;;) {
      const message = await next();
      seen.push(...message.revocations);
      if (message.revision >= revision) return seen;
    }
  };
  return { next, until, end: () => end.abort() };
}

const firstFailure = (watch: Watch) =>
  watching(watch)
    .next()
    .catch((error: unknown) => error);

async function newSession(memberId: string, organizationId = "") {
  const { session } = await sessions.create({ memberId, organizationId });
  return session?.id ?? "";
}

const member = (value: string) => ({ target: { case: "memberId", value } }) as const;

test("the first message arrives at once with the current position", async () => {
  const { revision } = await sessions.revoke(member("first"));
  const watch = watching({});
  expect(await watch.next()).toMatchObject({ revocations: [], revision, upToDate: true });
  watch.end();
});

test.each([
  ["told by the database", sessions],
  ["by polling", polled],
])("every scope arrives, in order and once, %s", async (_, client) => {
  const watch = watching({ heartbeat: durationFromMs(200) }, client);
  const { revision: start } = await watch.next();
  const id = await newSession("ada", "acme");
  const spared = await newSession("ada", "acme");
  await sessions.revoke({ target: { case: "id", value: id }, reason: "not for watchers" });
  await sessions.revoke(member("ada"));
  await sessions.revokeAll({ scope: { case: "organizationId", value: "acme" }, exceptSessionId: spared });
  const alive = await newSession("ada", "acme");
  const { revision = 0n } = await sessions.revokeAll({
    scope: { case: "project", value: {} },
    exceptSessionId: alive,
  });
  const seen = await watch.until(revision);
  expect(seen).toMatchObject([
    { revision: start + 1n, scope: RevocationScope.SESSION, targetId: id, exceptSessionId: "" },
    { revision: start + 2n, scope: RevocationScope.MEMBER, targetId: "ada", exceptSessionId: "" },
    // The session is dead, so it is not excepted: a watcher must not treat it as alive.
    { revision: start + 3n, scope: RevocationScope.ORGANIZATION, targetId: "acme", exceptSessionId: "" },
    { revision: start + 4n, scope: RevocationScope.PROJECT, targetId: one.projectId, exceptSessionId: alive },
  ]);
  watch.end();
});

test("a stream resumes at any replica, without gap or repetition", async () => {
  const { revision: first } = await sessions.revoke(member("ben"));
  for (let i = 0; i < 5; i++) await sessions.revoke(member(`ben-${i}`));
  const { revision: last } = await sessions.revoke(member("ben"));
  const half = first + (last - first) / 2n;
  for (const client of [sessions, polled]) {
    const watch = watching({ start: { case: "after", value: await positionAt(one, half) } }, client);
    const revisions = (await watch.until(last)).map(({ revision }) => revision);
    expect(revisions).toEqual(Array.from({ length: Number(last - half) }, (_, i) => half + 1n + BigInt(i)));
    watch.end();
  }
});

test("starts with the oldest retained revocation", async () => {
  const { revision } = await sessions.revoke(member("cyd"));
  const watch = watching({ start: { case: "oldest", value: {} } });
  const seen = await watch.until(revision);
  expect(seen.map((revocation) => revocation.revision)).toEqual(
    Array.from({ length: Number(revision) }, (_, i) => BigInt(i + 1)),
  );
  watch.end();
});

test("a snapshot ends with a caught-up message", async () => {
  const { revision } = await sessions.revoke(member("dan"));
  const watch = watching({ start: { case: "snapshot", value: {} } });
  const seen = [];
  let message: WatchRevocationsResponse;
  do {
    message = await watch.next();
    seen.push(...message.revocations);
  } while (!message.upToDate);
  expect(message.revision).toBe(revision);
  expect(seen.at(-1)).toMatchObject({ revision, targetId: "dan" });
  watch.end();
});

test("heartbeats have the newest revision and its age", async () => {
  const watch = watching({ heartbeat: durationFromMs(100) });
  const messages = [await watch.next(), await watch.next(), await watch.next()];
  const elapsed = messages.map(
    (message) => Number(message.readOffset?.seconds) * 1e9 + Number(message.readOffset?.nanos),
  );
  expect(messages.every((message) => message.upToDate && message.revocations.length === 0)).toBe(true);
  expect(elapsed).toEqual(elapsed.toSorted((a, b) => a - b));
  expect(elapsed[2]).toBeGreaterThan(elapsed[0] ?? Infinity);
  watch.end();
});

test("a position that is not in the log is OUT_OF_RANGE, with the retained range", async () => {
  const { revision } = await sessions.revoke(member("eve"));
  const failure = await firstFailure({ start: { case: "after", value: foreignPosition(revision + 1n) } });
  expect(failure).toMatchObject({ code: Code.OutOfRange });
  expect(errorInfoOf(failure)).toMatchObject({
    reason: "HISTORY_CHANGED",
    metadata: { oldest_revision: "0", oldest_position: await positionAt(one, 0), revision: String(revision) },
  });
});

test.each([
  ["heartbeat", { heartbeat: durationFromMs(99) }],
  ["heartbeat", { heartbeat: durationFromMs(60_001) }],
  ["after", { start: { case: "after", value: "2.1" } }],
  ["after", { start: { case: "after", value: "" } }],
] as const)("an invalid %s is named", async (field, watch) => {
  const failure = await firstFailure(watch);
  expect(failure).toMatchObject({ code: Code.InvalidArgument, rawMessage: expect.stringContaining(field) });
});

test("over REST the stream is NDJSON, or SSE if accepted", async () => {
  const { revision } = await sessions.revoke(member("fay"));
  const path = `${one.url}/session/v1/revocations:watch?after=${await positionAt(one, revision - 1n)}`;
  for (const [accept, type] of [
    ["*/*", "application/x-ndjson"],
    ["text/event-stream", "text/event-stream"],
  ] as const) {
    const end = new AbortController();
    const response = await fetch(path, { headers: { authorization: one.basic, accept }, signal: end.signal });
    expect(response.headers.get("content-type")).toContain(type);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes('"fay"')) text += (await reader?.read())?.value ?? "";
    expect(text).toContain(`"revision":"${revision}"`);
    end.abort();
  }
});

/** Reads server-sent events until `text` arrives. Returns their fields. */
async function eventsUntil(text: string, query: string, headers: Readonly<Record<string, string>> = {}) {
  const end = new AbortController();
  const response = await fetch(`${one.url}/session/v1/revocations:watch${query}`, {
    headers: { authorization: one.basic, accept: "text/event-stream", ...headers },
    signal: end.signal,
  });
  expect(response.status).toBe(200);
  let read = "";
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  while (!(read.includes(text) && read.endsWith("\n\n"))) read += (await reader?.read())?.value ?? "";
  end.abort();
  const events = read.trimEnd().split("\n\n");
  return events.map((event) => /^id: (?<id>\S+)\ndata: (?<data>.*)$/.exec(event)?.groups);
}

describe("server-sent events", () => {
  test("have the position as id, and Last-Event-ID resumes after it without gap or repetition", async () => {
    await sessions.revoke(member("hal"));
    const seen = await eventsUntil('"hal"', "?snapshot=");
    const last = seen.at(-1);
    expect(JSON.parse(last?.["data"] ?? "")).toMatchObject({ position: last?.["id"] });
    await sessions.revoke(member("ida"));
    await sessions.revoke(member("joe"));
    const resumed = await eventsUntil('"joe"', "?snapshot=", { "last-event-id": last?.["id"] ?? "" });
    const targets = resumed.flatMap((event) => {
      const { revocations } = JSON.parse(event?.["data"] ?? "") as { revocations: { targetId: string }[] };
      return revocations.map(({ targetId }) => targetId);
    });
    expect(targets).toEqual(["ida", "joe"]);
  });

  test("Last-Event-ID takes precedence over `after`; an empty one counts as absent", async () => {
    const { revision } = await sessions.revoke(member("kim"));
    const before = await positionAt(one, revision - 1n);
    const ahead = foreignPosition(revision + 1000n);
    for (const [after, lastEventId] of [
      [ahead, before],
      [before, ""],
    ]) {
      const events = await eventsUntil('"kim"', `?after=${after}`, { "last-event-id": lastEventId ?? "" });
      expect(events[0]?.["data"]).toContain(`"revision":"${revision}"`);
    }
  });

  test.each([
    ["?after=x", {}, 400],
    ["", { "last-event-id": "x" }, 400],
    ["?snapshot=true", {}, 400],
    ["?snapshot=&oldest=", {}, 400],
    ["?snapshot&snapshot", {}, 400],
  ])("a start that is wrong is refused: %s %o", async (query, headers, status) => {
    const response = await fetch(`${one.url}/session/v1/revocations:watch${query}`, {
      headers: { authorization: one.basic, accept: "text/event-stream", ...headers },
    });
    expect(response.status).toBe(status);
    await response.body?.cancel();
  });
});

test("over gRPC-Web the stream is the same", async () => {
  const { revision } = await sessions.revoke(member("gus"));
  const transport = createGrpcWebTransport({ baseUrl: one.url, httpVersion: "1.1" });
  const client = createClient(SessionService, transport);
  const end = new AbortController();
  const stream = client.watchRevocations(
    { start: { case: "after", value: await positionAt(one, revision - 1n) } },
    { headers: { authorization: one.basic }, signal: end.signal },
  );
  for await (const { revocations } of stream) {
    expect(revocations).toMatchObject([{ revision, targetId: "gus" }]);
    break;
  }
  end.abort();
});

test("a stream ends soon after its credential is disabled", async () => {
  const clock = movableClock();
  const service = await runningService({ databaseUrl: one.databaseUrl, now: clock.now });
  const { projectId } = service;
  const operator = { baseUrl: service.url, credential: { projectId, secret: service.secret } };
  const { projects } = connectSessiond(operator);
  const { credential, secret } = await projects.createServiceCredential({
    projectId,
    permissions: [Permission.REVOCATIONS_WATCH],
  });
  const reader = connectSessiond({ baseUrl: service.url, credential: { projectId, secret } }).sessions;
  const watch = watching({ heartbeat: durationFromMs(100) }, reader);
  await watch.next();
  clock.advance(10_000);
  await watch.next();
  await projects.disableServiceCredential({ projectId, id: credential?.id ?? "" });
  clock.advance(10_000);
  const failure = await watch
    .next()
    .then(() => watch.next())
    .catch((error: unknown) => error);
  expect(errorInfoOf(failure)).toMatchObject({ reason: "CREDENTIAL_INVALID" });
});

test("a stopping server ends its streams with UNAVAILABLE", async () => {
  const third = await runningService({ databaseUrl: one.databaseUrl });
  const watch = watching({}, clientOf(third));
  await watch.next();
  const ended = watch.next().then(
    () => watch.next(),
    (error: unknown) => error,
  );
  await third.stop();
  const failure = await Promise.resolve(ended).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ConnectError);
  expect(failure).toMatchObject({ code: Code.Unavailable });
});
