import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import type { HttpResponse, RequestHandler } from "../../../src/transport/http-message.ts";
import { listening } from "../../unit/server/listener/listening.ts";
import { frame, frameTypes, headerBlock, preface, settings } from "../../support/fixtures/http2-bytes.ts";
import { openRaw } from "../../unit/server/listener/raw-connection.ts";

function say(res: HttpResponse, body: string): void {
  if ("stream" in res) res.end(body);
  else res.end(body);
}

const ok: RequestHandler = (_, res) => say(res, "ok");

/** Whether the server answers a new client of either protocol. */
async function isServing(url: string): Promise<boolean> {
  const http1 = await (await fetch(url)).text();
  const session = connectHttp2(url);
  const http2 = await text(session.request({ ":path": "/" }));
  session.destroy();
  return http1 === "ok" && http2 === "ok";
}

describe("a request that HTTP/1.1 parsers may read in two ways is refused", () => {
  const host = "POST / HTTP/1.1\r\nHost: h\r\n";
  const chunked = "0\r\n\r\n";
  test.each([
    ["both lengths", `${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`],
    [
      "both lengths, the other way round",
      `${host}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${chunked}`,
    ],
    ["two different lengths", `${host}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
    ["a list of lengths", `${host}Content-Length: 5, 6\r\n\r\nhello`],
    ["a signed length", `${host}Content-Length: +5\r\n\r\nhello`],
    ["a negative length", `${host}Content-Length: -5\r\n\r\nhello`],
    ["a length too large", `${host}Content-Length: 99999999999999999999\r\n\r\nhello`],
    ["an unknown transfer coding", `${host}Transfer-Encoding: xchunked\r\n\r\n${chunked}`],
    ["chunked not last", `${host}Transfer-Encoding: chunked, identity\r\n\r\n${chunked}`],
    ["a space before the colon", `${host}Transfer-Encoding : chunked\r\n\r\n${chunked}`],
    ["a space before the first header", `POST / HTTP/1.1\r\n Host: h\r\n\r\n`],
    ["a bare line feed", `POST / HTTP/1.1\r\nHost: h\nContent-Length: 5\r\n\r\nhello`],
    ["a bare carriage return", `POST / HTTP/1.1\r\nHost: h\rContent-Length: 5\r\n\r\nhello`],
    ["a null byte", `${host}X: a\0b\r\n\r\n`],
    ["an unknown version", `GET / HTTP/3.7\r\nHost: h\r\n\r\n`],
    ["an unknown method", `BREW / HTTP/1.1\r\nHost: h\r\n\r\n`],
    ["the preface with a flaw", `${preface.slice(0, 16)}SX\r\n\r\n`],
    ["a TLS hello", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"],
    ["garbage", "\x00\xff\xfe\x80".repeat(50)],
  ])("%s", async (_, bytes) => {
    const { port, url } = await listening({ handler: ok });
    const raw = await openRaw(port);
    raw.write(Buffer.from(bytes, "latin1"));
    expect(await raw.closed).toMatch(/^HTTP\/1.1 400 Bad Request\r\n(?:.+\r\n)*connection: close\r\n/i);
    expect(await isServing(url)).toBe(true);
  });

  test.each([
    ["size", `${host}Transfer-Encoding: chunked\r\n\r\nZZ\r\n`],
    ["end", `${host}Transfer-Encoding: chunked\r\n\r\n2\r\nokX\r\n`],
    ["extension", `${host}Transfer-Encoding: chunked\r\n\r\n2;a\nb\r\nok\r\n0\r\n\r\n`],
  ])("a chunk with a bad %s", async (_, bytes) => {
    const { port, url } = await listening({
      async handler(req, res) {
        if (req.method === "POST") await text(req).catch(() => "");
        say(res, "ok");
      },
    });
    const raw = await openRaw(port);
    raw.write(bytes);
    expect(await raw.closed).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/);
    expect(await isServing(url)).toBe(true);
  });
});

test("answers 431 to HTTP/1 headers that are too large", async () => {
  const { port, url } = await listening({ handler: ok, limits: { maxHeaderBytes: 1_000 } });
  const raw = await openRaw(port);
  raw.write(`GET / HTTP/1.1\r\nHost: h\r\nX: ${"x".repeat(1_000)}\r\n\r\n`);
  expect(await raw.closed).toMatch(/^HTTP\/1.1 431 /);
  expect(await isServing(url)).toBe(true);
});

test("refuses an HTTP/2 stream whose headers are too large, and serves the next", async () => {
  const { url } = await listening({ handler: ok, limits: { maxHeaderBytes: 1_000 } });
  const session = connectHttp2(url);
  onTestFinished(() => session.destroy());
  await once(session, "remoteSettings");
  const large = session.request({ ":path": "/", x: "x".repeat(2_000) });
  large.on("error", () => {}).resume();
  await new Promise((closed) => large.once("close", closed));
  expect(large.rstCode).not.toBe(0);
  expect(await text(session.request({ ":path": "/" }))).toBe("ok");
});

test("lets a client have only so many streams open, and serves them all in turn", async () => {
  const waiting: HttpResponse[] = [];
  let most = 0;
  const { url } = await listening({
    limits: { maxConcurrentStreams: 5 },
    handler(_, res) {
      waiting.push(res);
      most = Math.max(most, waiting.length);
      if (waiting.length === 5) for (const each of waiting.splice(0)) say(each, "ok");
    },
  });
  const session = connectHttp2(url);
  onTestFinished(() => session.destroy());
  await once(session, "remoteSettings");
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => text(session.request({ ":path": "/" }))),
  );
  expect(answers).toEqual(Array.from({ length: 20 }, () => "ok"));
  expect(most).toBe(5);
});

/** Writes until the server ends the connection, and fails the test if it never does. */
async function flood(port: number, start: Buffer[], more: (i: number) => Buffer): Promise<string> {
  const raw = await openRaw(port);
  raw.write(Buffer.concat([Buffer.from(preface), settings, ...start]));
  for (let i = 0; i < 100_000 && !raw.socket.destroyed; i++) {
    raw.write(more(i));
    if (i % 50 === 0) await new Promise(setImmediate);
  }
  expect(raw.socket.destroyed, "the connection has not outlived the flood").toBe(true);
  return raw.closed;
}

describe("HTTP/2 floods end the connection and nothing else", () => {
  const get = headerBlock({ ":method": "GET", ":path": "/", ":scheme": "http", ":authority": "h" });
  const rapidReset = (i: number) =>
    Buffer.concat([frame(1, 5, 2 * i + 1, get), frame(3, 0, 2 * i + 1, "\0\0\0\x08")]);

  test("streams reset as soon as they are opened", async () => {
    const { port, url } = await listening({
      handler: ok,
      onError: () => {},
      limits: { streamResetBurst: 100, streamResetsPerSecond: 10 },
    });
    expect(frameTypes(await flood(port, [], rapidReset))).toContain("GOAWAY");
    expect(await isServing(url)).toBe(true);
  });

  test("headers that go on and on", async () => {
    const { port, url } = await listening({ handler: ok, onError: () => {} });
    await flood(port, [frame(1, 1, 1, get)], () => frame(9, 0, 1, headerBlock({ x: "x".repeat(100) })));
    expect(await isServing(url)).toBe(true);
  });

  test("pings that nobody reads the answers of", async () => {
    const { port, url } = await listening({ handler: ok, onError: () => {} });
    const raw = await openRaw(port);
    raw.socket.pause();
    raw.write(Buffer.concat([Buffer.from(preface), settings]));
    raw.write(Buffer.alloc(17 * 50_000, frame(6, 0, 0, "pingpong")));
    expect(await isServing(url)).toBe(true);
  });

  test("frames that HTTP/2 does not allow", async () => {
    const { port, url } = await listening({ handler: ok, onError: () => {} });
    for (const bad of [
      frame(0, 0, 0, "data"),
      frame(8, 0, 0, "\0\0\0\0"),
      frame(4, 0, 0, "odd"),
      Buffer.alloc(64, 0xff),
    ]) {
      const raw = await openRaw(port);
      raw.write(Buffer.concat([Buffer.from(preface), settings, bad]));
      expect(frameTypes(await raw.closed)).toContain("GOAWAY");
    }
    const raw = await openRaw(port);
    raw.write(`${preface}this is not a SETTINGS frame`);
    await raw.closed;
    expect(await isServing(url)).toBe(true);
  });
});

test("connections that are reset, at any point, harm nobody", async () => {
  const { port, url } = await listening({ handler: (_, res) => void setImmediate(() => say(res, "ok")) });
  const get = headerBlock({ ":method": "GET", ":path": "/", ":scheme": "http", ":authority": "h" });
  const beginnings = [
    "",
    preface.slice(0, 5),
    "GET / HTTP/1.1\r\nHo",
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf",
    preface,
    Buffer.concat([Buffer.from(preface), settings]),
    Buffer.concat([Buffer.from(preface), settings, frame(1, 5, 1, get)]),
    Buffer.concat([Buffer.from(preface), settings, frame(1, 4, 1, get), frame(0, 0, 1, "half")]),
  ];
  for (const bytes of [...beginnings, ...beginnings]) {
    const raw = await openRaw(port);
    await new Promise<void>((sent) => {
      raw.socket.write(bytes, () => sent());
    });
    raw.socket.resetAndDestroy();
    await raw.closed;
  }
  expect(await isServing(url)).toBe(true);
});

test("2,000 idle connections do not keep others from being served", async () => {
  const { port, url } = await listening({ handler: ok });
  const openMany = (count: number) => Promise.all(Array.from({ length: count }, () => openRaw(port)));
  const silent = await openMany(700);
  const http1 = await openMany(700);
  for (const each of http1) each.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  await Promise.all(http1.map((each) => each.received(/ok$/)));
  const http2 = await Promise.all(
    Array.from({ length: 600 }, async (): Promise<ClientHttp2Session> => {
      const session = connectHttp2(url);
      onTestFinished(() => session.destroy());
      await once(session, "remoteSettings");
      return session;
    }),
  );
  for (let i = 0; i < 20; i++) expect(await isServing(url)).toBe(true);
  expect([...silent, ...http1].filter(({ socket }) => socket.destroyed)).toEqual([]);
  expect(http2.filter((session) => session.closed)).toEqual([]);
});
