import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { type HttpResponse, type RequestHandler, endResponse } from "../../../src/transport/http-message.ts";
import { listening } from "../../unit/server/listener/listening.ts";
import { frame, frameTypes, headerBlock, preface, settings } from "../../support/fixtures/http2-bytes.ts";
import { openRaw } from "../../unit/server/listener/raw-connection.ts";

const ok: RequestHandler = (_, res) => endResponse(res, "ok");
const get = headerBlock({ ":method": "GET", ":path": "/", ":scheme": "http", ":authority": "h" });
const start = Buffer.concat([Buffer.from(preface), settings]);

/** Whether the server answers a new client of either protocol. */
async function isServing(url: string): Promise<boolean> {
  const http1 = await (await fetch(url)).text();
  const session = connectHttp2(url);
  const http2 = await text(session.request({ ":path": "/" }));
  session.destroy();
  return http1 === "ok" && http2 === "ok";
}

test("answers 431 to HTTP/1.1 headers that are too large", async () => {
  const { port, url } = await listening({ handler: ok, limits: { maxHeaderBytes: 1_000 } });
  const raw = await openRaw(port);
  raw.write(`GET / HTTP/1.1\r\nHost: h\r\nX: ${"x".repeat(1_000)}\r\n\r\n`);
  expect(await raw.closed).toMatch(/^HTTP\/1.1 431 /);
  expect(await isServing(url)).toBe(true);
});

test("rejects an HTTP/2 stream whose headers are too large, and serves the next", async () => {
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

test("limits the open streams of a client, and serves all in turn", async () => {
  const waiting: HttpResponse[] = [];
  let most = 0;
  const { url } = await listening({
    limits: { maxConcurrentStreams: 5 },
    handler(_, res) {
      waiting.push(res);
      most = Math.max(most, waiting.length);
      if (waiting.length === 5) for (const each of waiting.splice(0)) endResponse(each, "ok");
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

/** Writes until the server ends the connection. Fails the test if it does not. */
async function flood(port: number, more: (i: number) => Buffer): Promise<string> {
  const raw = await openRaw(port);
  raw.write(start);
  for (let i = 0; i < 100_000 && !raw.socket.destroyed; i++) {
    raw.write(more(i));
    if (i % 50 === 0) await new Promise(setImmediate);
  }
  expect(raw.socket.destroyed, "the connection is closed").toBe(true);
  return raw.closed;
}

describe("an HTTP/2 flood harms only its connection:", () => {
  const rapidReset = (i: number) =>
    Buffer.concat([frame(1, 5, 2 * i + 1, get), frame(3, 0, 2 * i + 1, "\0\0\0\x08")]);

  test("streams that are reset at once", async () => {
    const { port, url } = await listening({
      handler: ok,
      onError: () => {},
      limits: { streamResetBurst: 100, streamResetsPerSecond: 10 },
    });
    expect(frameTypes(await flood(port, rapidReset))).toContain("GOAWAY");
    expect(await isServing(url)).toBe(true);
  });

  test("headers without end", async () => {
    const { port, url } = await listening({ handler: ok, onError: () => {} });
    await flood(port, (i) =>
      i === 0 ? frame(1, 1, 1, get) : frame(9, 0, 1, headerBlock({ x: "x".repeat(100) })),
    );
    expect(await isServing(url)).toBe(true);
  });

  test("pings whose answers are not read", async () => {
    const { port, url } = await listening({ handler: ok, onError: () => {} });
    const raw = await openRaw(port);
    raw.socket.pause();
    raw.write(start);
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
      raw.write(Buffer.concat([start, bad]));
      expect(frameTypes(await raw.closed)).toContain("GOAWAY");
    }
    const raw = await openRaw(port);
    raw.write(`${preface}this is not a SETTINGS frame`);
    await raw.closed;
    expect(await isServing(url)).toBe(true);
  });
});
