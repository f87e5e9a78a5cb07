import { once } from "node:events";
import { Agent, request } from "node:http";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { createListener } from "../../../../src/server/listener/listener.ts";
import { listening, openSession, write } from "./listening.ts";
import { getFrame, http2Bytes, openRaw } from "./raw-connection.ts";
import { preface, settings } from "../../../support/fixtures/http2-bytes.ts";
import { type RequestHandler, endResponse } from "../../../../src/transport/http-message.ts";

const echo: RequestHandler = async (req, res) => {
  const body = await text(req);
  res.setHeader("content-type", "text/plain");
  const answer = `${req.httpVersion} ${req.method} ${req.url} ${body}`;
  endResponse(res, answer);
};

async function http2Echo(url: string, body: string): Promise<string> {
  const session = openSession(url);
  const stream = session.request({ ":method": "POST", ":path": "/p" });
  stream.end(body);
  return text(stream);
}

test("serves HTTP/1.1 and HTTP/2 on one port", async () => {
  const { url } = await listening({ handler: echo });
  const answer = await fetch(`${url}/p`, { method: "POST", body: "hello" });
  expect(await answer.text()).toBe("1.1 POST /p hello");
  expect(await http2Echo(url, "hello")).toBe("2.0 POST /p hello");
});

test("recognises HTTP/2 by a preface that arrives byte by byte", async () => {
  const { port } = await listening({ handler: echo });
  const raw = await openRaw(port);
  raw.socket.setNoDelay(true);
  for (const byte of preface) {
    raw.write(byte);
    await new Promise(setImmediate);
  }
  raw.write(settings);
  raw.write(getFrame(1, "/x"));
  expect(await raw.received(/GET/)).toContain("2.0 GET /x ");
});

test.each([
  ...["POST", "PUT", "PATCH", "PROPFIND"].map((method): [string, string, RegExp] => [
    `recognises ${method}, which begins like the preface`,
    `${method} /m HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok`,
    new RegExp(`1.1 ${method} /m ok$`),
  ]),
  [
    "answers pipelined requests in order, including the sniffed bytes",
    "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    /^(?:(?!GET)[^])*GET \/1 (?:(?!GET)[^])*GET \/2 $/,
  ],
  [
    "ignores an upgrade to h2c",
    "GET /u HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    /^HTTP\/1.1 200 OK[^]*GET/,
  ],
])("over HTTP/1.1 %s", async (_, bytes, answer) => {
  const { port } = await listening({ handler: echo });
  expect(await (await openRaw(port, bytes)).closed).toMatch(answer);
});

test.each([
  ["too large", `GET /2 HTTP/1.1\r\nHost: h\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, 431],
  ["malformed", "\0\r\n\r\n", 400],
])(
  "over HTTP/1.1 a pipelined request that is %s is answered after one that has its answer",
  async (_, bytes, status) => {
    const { port } = await listening({ handler: (_req, res) => endResponse(res, "first") });
    const received = await (await openRaw(port, `GET /1 HTTP/1.1\r\nHost: h\r\n\r\n${bytes}`)).closed;
    expect(received).toMatch(
      new RegExp(`^HTTP/1.1 200 OK[^]*first *HTTP/1.1 ${status} [^]*connection: close`),
    );
  },
);

test("closes an HTTP/2 connection when the client closes its side", async () => {
  const { port } = await listening({ handler: echo });
  const raw = await openRaw(port, "", true);
  raw.socket.end(http2Bytes());
  await expect(raw.closed).resolves.toBeTypeOf("string");
});

test("continues after Expect: 100-continue", async () => {
  const { port } = await listening({ handler: echo });
  const req = request({ port, host: "127.0.0.1", method: "POST", headers: { expect: "100-continue" } });
  req.flushHeaders();
  await once(req, "continue");
  req.end("late body");
  const [res] = await once(req, "response");
  expect(await text(res)).toBe("1.1 POST / late body");
});

test("keeps an HTTP/1.1 connection for the next request", async () => {
  const { port } = await listening({ handler: echo });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  const ports = new Set<number | undefined>();
  for (const path of ["/1", "/2", "/3"]) {
    const req = request({ port, host: "127.0.0.1", path, agent }).end();
    const [res] = await once(req, "response");
    await text(res);
    ports.add(req.socket?.localPort);
  }
  expect(ports.size).toBe(1);
});

test("refuses an address in use, and listens elsewhere after that", async () => {
  const first = await listening({ handler: echo });
  const second = createListener({ handler: echo, onError: () => {} });
  await expect(second.listen({ host: "127.0.0.1", port: first.port })).rejects.toThrow("EADDRINUSE");
  const { port } = await second.listen({ host: "127.0.0.1", port: 0 });
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("1.1 GET / ");
  await second.drain(0);
});

test("closes connections beyond the limit and serves the others", async () => {
  const { port, url } = await listening({ handler: echo, limits: { maxConnections: 2 } });
  const kept = [await openRaw(port), await openRaw(port)];
  const refused = await openRaw(port);
  expect(await refused.closed).toBe("");
  kept[0]?.write("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  expect(await kept[0]?.closed).toContain("GET /a");
  expect(await (await fetch(url)).text()).toBe("1.1 GET / ");
});

describe("a client that closes its side of the connection after its request", () => {
  const requests: Record<string, string | Buffer> = {
    "HTTP/1.1": "GET /x HTTP/1.1\r\nHost: h\r\n\r\n",
    "HTTP/1.0": "GET /x HTTP/1.0\r\n\r\n",
    "HTTP/2": http2Bytes(getFrame(1, "/x")),
  };

  test.each(Object.entries(requests))("is answered over %s", async (_, bytes) => {
    const { port } = await listening({
      async handler(req, res) {
        // Longer than it takes to recognise a stream.
        await new Promise((resolve) => setTimeout(resolve, 300));
        await echo(req, res);
      },
    });
    const raw = await openRaw(port, "", true);
    raw.socket.end(bytes);
    expect(await raw.closed).toMatch(/GET \/x/);
  });

  test.each(Object.entries(requests))("ends its stream over %s", async (_, bytes) => {
    const gone = Promise.withResolvers<void>();
    const { port } = await listening({
      handler(_req, res) {
        res.once("close", () => gone.resolve());
        void write(res, "endless");
      },
      onError: () => {},
    });
    const raw = await openRaw(port, "", true);
    raw.socket.end(bytes);
    await gone.promise;
    expect(await raw.closed).toMatch(/endless/);
  });
});
