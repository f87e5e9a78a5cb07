import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { type Socket, connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Metadata, credentials } from "@grpc/grpc-js";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { grpcClient } from "../../../src/client/grpc.ts";
import { envelope, frame, headerBlock, preface, settings } from "../../support/fixtures/http2-bytes.ts";
import { openRaw } from "../../unit/server/listener/raw-connection.ts";
import { attackTarget } from "./target.ts";

const target = await attackTarget();

function retained(): number {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect();
  return process.memoryUsage().heapUsed;
}

afterEach(async () => {
  await target.createSession({ memberId: "served" });
});

describe.each(["/session.v1.SessionService/Get", "/session/v1/sessions/x", "/healthz"])("%s", (path) => {
  test.each(["Host: [", "Host: a b", "Host: a:99999999", "Host:", "Host: %", "X: y"])(
    "rejects the header %s",
    async (host) => {
      const raw = await openRaw(target.port);
      raw.write(`POST ${path} HTTP/1.1\r\n${host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      expect(await raw.closed).toMatch(path === "/healthz" ? /^HTTP\/1\.1 (200|400)/ : /^HTTP\/1\.1 400/);
    },
  );

  test.each(["[", "a b", "a:99999999", "%"])("rejects the :authority %s", async (authority) => {
    const session = connectHttp2(target.url);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ":method": "POST", ":path": path, ":authority": authority });
    stream.on("error", () => {});
    stream.end();
    const status = await new Promise((resolve) => {
      stream.on("response", (headers) => resolve(headers[":status"]));
      // Some are malformed in HTTP/2 already: the stream is reset.
      stream.on("close", () => resolve(400));
    });
    expect(path === "/healthz" ? [200, 400] : [400]).toContain(status);
  });
});

test("serves others after clients disconnect at any point, and stores nothing of unfinished requests", async () => {
  const head = `POST /session.v1.SessionService/Create HTTP/1.1\r\nHost: a\r\nAuthorization: ${target.home.basic}\r\n`;
  const json = `${head}Content-Type: application/json\r\n`;
  const start = preface + settings.toString("latin1");
  const get = headerBlock({ ":method": "GET", ":path": "/", ":scheme": "http", ":authority": "h" });
  const jwks = "GET /session/v1/projects/home/jwks HTTP/1.1\r\nHost: a\r\n\r\n";
  const query =
    "GET /session.v1.ProjectService/GetJwks?encoding=json&message=%7B%7D HTTP/1.1\r\nHost: a\r\n\r\n";
  const health =
    "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web+proto\r\n" +
    "Content-Length: 5\r\n\r\n\0\0\0\0\0";
  const unfinished = [
    "POST /session",
    head,
    `${json}Content-Length: 100\r\n\r\n{"memberId": "half"`,
    `${json}Transfer-Encoding: chunked\r\n\r\n13\r\n{"memberId": "half"}`,
    `${head}Content-Type: application/grpc-web+proto\r\nContent-Length: 100\r\n\r\n\0\0\0\0\x09`,
    "POST /session/v1/sessions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
    preface.slice(0, 10),
    preface,
    `${start}${frame(1, 0, 1, headerBlock({ ":method": "POST" })).toString("latin1")}`,
    `${start}\0\x40\0`,
  ];
  /** Whole requests, and connections that wait: they are not half-closed. */
  const others = [
    start,
    `${start}${frame(1, 4, 1, get).toString("latin1")}${frame(0, 0, 1, "half").toString("latin1")}`,
    `${json}Content-Length: 20\r\n\r\n{"memberId": "gone"}`,
    `${start}${frame(1, 5, 1, get).toString("latin1")}`,
    jwks + query + health,
    query + health + jwks,
    health + health + query,
    jwks + jwks + jwks,
    "",
  ];
  for (let round = 0; round < 12; round++) {
    for (const bytes of [...unfinished, ...others]) {
      const raw = await openRaw(target.port);
      raw.write(Buffer.from(bytes, "latin1"));
      for (let turn = 0; turn < round >> 1; turn++) await new Promise(setImmediate);
      if (round % 2 === 0) raw.socket.resetAndDestroy();
      else if (others.includes(bytes)) raw.socket.destroy();
      else raw.socket.end();
      await raw.closed;
    }
  }
  const { json: answer } = await target.call("SessionService/List", { memberId: "half" });
  expect(answer.sessions ?? []).toEqual([]);
});

test("answers a request, and closes the connection if invalid bytes follow", async () => {
  const raw = await openRaw(target.port);
  raw.write(
    `POST /session.v1.SessionService/List HTTP/1.1\r\nHost: a\r\nAuthorization: ${target.home.basic}\r\n` +
      `Content-Type: application/json\r\nContent-Length: 16\r\n\r\n{"memberId":"a"}{"memberId":"b"}`,
  );
  expect((await raw.closed).match(/^HTTP\/1\.1 \d+/gm)).toEqual(["HTTP/1.1 200"]);
});

test("answers the next request on the connection of a message over the limit", async () => {
  const body = envelope(Buffer.alloc(1_200_000, 1));
  for (const [path, type] of [
    ["/session.v1.SessionService/Create", "application/grpc-web+proto"],
    ["/session.v1.SessionService/Create", "application/proto"],
    ["/session/v1/sessions", "application/json"],
  ]) {
    const raw = await openRaw(target.port);
    raw.write(
      `POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${target.home.basic}\r\nContent-Type: ${type}\r\n` +
        `Content-Length: ${body.length}\r\n\r\n`,
    );
    raw.write(body);
    raw.write("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(await raw.closed).toContain('{"status":"SERVING"}');
  }
});

test("serves others beside 2,000 idle connections of both protocols, some with half a request", async () => {
  const beginnings = [
    "",
    "GET /",
    "GET / HTTP/1.1\r\nHost: a\r\n",
    "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    preface.slice(0, 12),
    preface,
    preface + settings.toString("latin1"),
  ];
  const sockets: Socket[] = [];
  onTestFinished(() => sockets.forEach((socket) => void socket.destroy()));
  for (let batch = 0; batch < 20; batch++) {
    await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const socket = connect(target.port, "127.0.0.1");
        socket.on("error", () => {});
        sockets.push(socket);
        await once(socket, "connect");
        socket.write(beginnings[i % beginnings.length] ?? "");
      }),
    );
  }
  expect(sockets.filter((socket) => !socket.destroyed)).toHaveLength(2000);
  for (let i = 0; i < 50; i++) await target.createSession({ memberId: "crowd" });
  const { json } = await target.call("SessionService/List", { memberId: "crowd" });
  expect(json.sessions).toHaveLength(50);
});

test("1,600 cancelled calls leave the service working and its memory bounded", async () => {
  const client = grpcClient(SessionService, `127.0.0.1:${target.port}`, credentials.createInsecure());
  onTestFinished(() => client.close());
  const { id, token } = await target.createSession({ memberId: "cancelled" });
  const metadata = new Metadata();
  metadata.set("authorization", target.home.basic);
  const cancelled = (i: number) =>
    new Promise<number>((resolve) => {
      const call = client.get({ id }, metadata, {}, (error) => resolve(error?.code ?? 0));
      // At once, in the next turn of the event loop, or while the answer arrives.
      if (i % 3 === 0) call.cancel();
      else if (i % 3 === 1) setImmediate(() => call.cancel());
      else call.on("metadata", () => call.cancel());
    });
  const round = async () => {
    const codes = await Promise.all(Array.from({ length: 200 }, (_, i) => cancelled(i)));
    expect(codes.filter((code) => code !== 0 && code !== 1)).toEqual([]);
  };
  await round();
  const before = retained();
  for (let i = 0; i < 8; i++) await round();
  // Fails if each call leaves 10 KB behind.
  expect(retained() - before).toBeLessThan(16e6);
  expect(await target.call("SessionService/Authenticate", { token })).toMatchObject({ status: 200 });
});
