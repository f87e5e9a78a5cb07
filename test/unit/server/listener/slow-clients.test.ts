import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { closeCode, listening, openSession } from "./listening.ts";
import { type RawConnection, get, http2Bytes, openRaw, ping } from "./raw-connection.ts";
import { frame, frameTypes, headerBlock, preface, settings } from "../../../support/fixtures/http2-bytes.ts";
import type { ListenerLimits } from "../../../../src/server/listener/limits.ts";
import { type RequestHandler, endResponse } from "../../../../src/transport/http-message.ts";

// Only the timeout under test is short: if another one fired instead, the test would take too long.
const post = { ":method": "POST", ":path": "/", ":scheme": "http", ":authority": "h" };

const drainBody: RequestHandler = async (req, res) => {
  await text(req).catch(() => "");
  res.end();
};

const http1 = "POST / HTTP/1.1\r\nHost: h\r\n";
const preface50 = { prefaceTimeoutMs: 50 };

test.each<[what: string, bytes: string | Buffer, limits: Partial<ListenerLimits>, answer: RegExp]>([
  ["that sends nothing", "", preface50, /^$/],
  ["that sends half a preface", preface.slice(0, 10), preface50, /^$/],
  ["that sends no SETTINGS", preface, preface50, /./],
  [
    "that does not acknowledge SETTINGS",
    Buffer.concat([Buffer.from(preface), frame(4, 0, 0)]),
    preface50,
    /./,
  ],
  ["with half-sent headers", `${http1}X-Slow: `, { headersTimeoutMs: 50 }, /^HTTP\/1.1 408 Request Timeout/],
  [
    "with a half-sent body",
    `${http1}Content-Length: 10\r\n\r\nhalf`,
    { headersTimeoutMs: 40, requestTimeoutMs: 50 },
    /^HTTP\/1.1 408 Request Timeout/,
  ],
  ["that is idle, of HTTP/1", `${http1}\r\n`, { keepAliveTimeoutMs: 50 }, /^HTTP\/1.1 200 OK/],
  ["without streams, PING or not, of HTTP/2", http2Bytes(ping), { sessionIdleTimeoutMs: 50 }, /GOAWAY/],
  [
    "whose headers stop halfway, of HTTP/2: the CONTINUATION never comes",
    http2Bytes(frame(1, 0, 1, headerBlock(post))),
    { sessionIdleTimeoutMs: 50, lingerTimeoutMs: 50 },
    /./,
  ],
])("closes a connection %s", async (_, bytes, limits, answer) => {
  const { port } = await listening({ handler: drainBody, limits });
  const text = await (await openRaw(port, bytes)).closed;
  expect(text.startsWith("HTTP") ? text : frameTypes(text).join()).toMatch(answer);
});

test("keeps an HTTP/2 connection that has exchanged its SETTINGS", async () => {
  const { port } = await listening({ handler: drainBody, limits: { prefaceTimeoutMs: 50 } });
  const silent = await openRaw(port);
  const raw = await openRaw(port, preface);
  raw.write(settings);
  await silent.closed;
  raw.write(ping);
  expect(await raw.received(/pingpong/)).toContain("pingpong");
});

test("resets an HTTP/2 stream whose body stops halfway, and serves the others", async () => {
  const aborted = Promise.withResolvers<void>();
  const { url } = await listening({
    limits: { requestTimeoutMs: 50 },
    async handler(req, res) {
      if (req.url === "/slow") req.once("aborted", () => aborted.resolve());
      await drainBody(req, res);
    },
  });
  const session = openSession(url);
  const slow = session.request({ ":method": "POST", ":path": "/slow" });
  slow.write("half");
  expect(await closeCode(slow)).toBe(8);
  await aborted.promise;
  const whole = session.request({ ":method": "POST" });
  whole.end("whole");
  const [headers] = await once(whole, "response");
  expect(headers[":status"]).toBe(200);
});

test("lets an HTTP/2 conversation continue, and resets it when only the client keeps it open", async () => {
  const end = Promise.withResolvers<void>();
  const { url } = await listening({
    limits: { requestTimeoutMs: 50 },
    async handler(req, res) {
      if (!("stream" in res)) return;
      if (req.url === "/slow") return drainBody(req, res);
      req.resume();
      res.write("talking");
      await end.promise;
      res.end("bye");
    },
  });
  const session = openSession(url);
  const talk = session.request({ ":method": "POST", ":path": "/talk" });
  const said = text(talk);
  await once(talk, "response");
  // A later stream has timed out, so the time of the first one has passed too.
  await closeCode(session.request({ ":method": "POST", ":path": "/slow" }));
  expect(talk.closed).toBe(false);
  end.resolve();
  expect(await said).toBe("talkingbye");
  await once(talk, "close");
  expect(talk.rstCode).toBe(8);
});

test("keeps an HTTP/2 connection while a stream is open, and closes it after", async () => {
  const end = Promise.withResolvers<void>();
  const { url, port } = await listening({
    limits: { sessionIdleTimeoutMs: 50 },
    async handler(_, res) {
      if ("stream" in res) res.write("open");
      await end.promise;
      res.end();
    },
  });
  const session = openSession(url);
  const stream = session.request({ ":path": "/" });
  await once(stream, "response");
  const later = await openRaw(port, http2Bytes());
  await later.closed;
  expect(session.closed).toBe(false);
  end.resolve();
  expect(await text(stream)).toBe("open");
  await once(session, "goaway");
  await once(session, "close");
});

/** Writes until the connection is closed: only a write detects a reset if this side reads nothing, or stays open. */
function closedByWrites({ socket, closed }: RawConnection, bytes: string | Buffer): Promise<string> {
  const poke = () => {
    socket.write(bytes);
    if (!socket.destroyed) setImmediate(poke);
  };
  poke();
  return closed;
}

test("limits the wait until the peer closes its side", async () => {
  const { port } = await listening({
    handler: drainBody,
    limits: { sessionIdleTimeoutMs: 20, lingerTimeoutMs: 20 },
  });
  const raw = await openRaw(port, http2Bytes(), true);
  await once(raw.socket, "end");
  await expect(closedByWrites(raw, ping)).resolves.toBeTypeOf("string");
});

test("resets an HTTP/2 stream with an unread answer, and serves the others on its connection", async () => {
  const { url } = await listening({
    handler: (_, res) => endResponse(res, "x".repeat(100_000)),
    limits: { unreadTimeoutMs: 50 },
  });
  const session = openSession(url, { settings: { initialWindowSize: 0 } });
  expect(await closeCode(session.request({ ":path": "/" }))).toBe(8);
  session.settings({ initialWindowSize: 200_000 });
  await once(session, "localSettings");
  expect(await text(session.request({ ":path": "/" }))).toHaveLength(100_000);
});

test.each([
  ["HTTP/1", get],
  [
    "HTTP/2",
    Buffer.concat([
      Buffer.from(preface),
      // A window larger than the answer.
      frame(4, 0, 0, "\0\x04\x7f\xff\xff\xff"),
      frame(4, 1, 0),
      frame(8, 0, 0, "\x7f\0\0\0"),
      frame(1, 5, 1, headerBlock({ ...post, ":method": "GET" })),
    ]),
  ],
])("closes an %s connection that reads nothing of an answer", async (_, request) => {
  const { port } = await listening({
    handler(_req, res) {
      // More than the buffers of the system hold.
      endResponse(res, Buffer.alloc(64 * 1024 * 1024));
    },
    limits: { unreadTimeoutMs: 50 },
    onError: () => {},
  });
  const raw = await openRaw(port);
  raw.socket.pause();
  raw.write(request);
  const more = typeof request === "string" ? "G" : ping;
  await expect(closedByWrites(raw, more)).resolves.toBeTypeOf("string");
});

test("cuts the connections with most unread bytes if there are too many in total", async () => {
  const { port, url } = await listening({
    handler: (_, res) => endResponse(res, Buffer.alloc(100_000)),
    limits: { maxUnreadBytes: 250_000 },
    onError: () => {},
  });
  const block = headerBlock({ ...post, ":method": "GET" });
  const greedy = await openRaw(port);
  const modest = await openRaw(port);
  const closedWindow = frame(4, 0, 0, "\0\x04\0\0\0\0");
  const start = Buffer.concat([Buffer.from(preface), closedWindow, frame(4, 1, 0)]);
  modest.write(Buffer.concat([start, frame(1, 5, 1, block)]));
  greedy.write(Buffer.concat([start, ...[1, 3, 5].map((stream) => frame(1, 5, stream, block))]));
  await greedy.closed;
  modest.write(ping);
  expect(await modest.received(/pingpong/)).toContain("pingpong");
  const session = openSession(url);
  expect(await text(session.request({ ":path": "/" }))).toHaveLength(100_000);
});

test("refuses streams beyond the limit of the process, and serves them when others have ended", async () => {
  const waiting: (() => void)[] = [];
  const { url } = await listening({
    handler(req, res) {
      if ("stream" in res) {
        if (req.url === "/wait") waiting.push(() => void res.end("late"));
        else res.end("ok");
      }
    },
    limits: { maxStreams: 2 },
  });
  const [session, other] = [openSession(url), openSession(url)];
  const held = [session, other].map((one) => one.request({ ":path": "/wait" }));
  const answers = held.map((stream) => text(stream));
  while (waiting.length < 2) await new Promise(setImmediate);
  expect(await closeCode(other.request({ ":path": "/" }))).toBe(7);
  for (const end of waiting) end();
  expect(await Promise.all(answers)).toEqual(["late", "late"]);
  expect(await text(other.request({ ":path": "/" }))).toBe("ok");
});

test("cuts an HTTP/1 connection with too many pipelined requests", async () => {
  let begun = 0;
  const { port } = await listening({
    handler(_, res) {
      begun++;
      setImmediate(() => ("stream" in res ? undefined : res.end("ok")));
    },
    limits: { maxPipelinedRequests: 3 },
  });
  const raw = await openRaw(port, get.repeat(1000));
  expect(await raw.closed).toBe("");
  expect(begun).toBe(3);
});
