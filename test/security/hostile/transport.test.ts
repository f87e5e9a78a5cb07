import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { type Socket, connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Metadata, credentials } from "@grpc/grpc-js";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { SessionService } from "../../../gen/session/v1/session_service_pb.ts";
import { grpcClient } from "../../../src/client/grpc.ts";
import { frame, headerBlock, preface, settings } from "../../support/fixtures/http2-bytes.ts";
import { openRaw } from "../../unit/server/listener/raw-connection.ts";
import { attackTarget } from "./target.ts";

const target = attackTarget();

/** Bytes on the heap that are in use. */
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
    "with %s",
    async (host) => {
      const raw = await openRaw(target.port);
      raw.write(`POST ${path} HTTP/1.1\r\n${host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      expect(await raw.closed).toMatch(path === "/healthz" ? /^HTTP\/1\.1 (200|400)/ : /^HTTP\/1\.1 400/);
    },
  );

  test.each(["[", "a b", "a:99999999", "%"])("with the :authority %s", async (authority) => {
    const session = connectHttp2(target.url);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ":method": "POST", ":path": path, ":authority": authority });
    stream.on("error", () => {});
    stream.end();
    const status = await new Promise((resolve) => {
      stream.on("response", (headers) => resolve(headers[":status"]));
      // HTTP/2 itself takes some of these for a malformed request, and resets the stream.
      stream.on("close", () => resolve(400));
    });
    expect(path === "/healthz" ? [200, 400] : [400]).toContain(status);
  });
});

test("a body shorter than its length, half a header and half a frame leave nothing behind", async () => {
  const head = `POST /session.v1.SessionService/Create HTTP/1.1\r\nHost: a\r\nAuthorization: ${target.home.basic}\r\n`;
  const beginnings = [
    "POST /session",
    head,
    `${head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"memberId": "half"`,
    `${head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n13\r\n{"memberId": "half"}`,
    `${head}Content-Type: application/grpc-web+proto\r\nContent-Length: 100\r\n\r\n\0\0\0\0\x09`,
    "POST /session/v1/sessions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
    preface.slice(0, 10),
    preface,
    `${preface}${settings.toString("latin1")}${frame(1, 0, 1, headerBlock({ ":method": "POST" })).toString("latin1")}`,
    `${preface}${settings.toString("latin1")}\0\x40\0`,
  ];
  for (let round = 0; round < 20; round++) {
    for (const bytes of beginnings) {
      const raw = await openRaw(target.port);
      raw.write(Buffer.from(bytes, "latin1"));
      if (round % 2 === 0) raw.socket.resetAndDestroy();
      else raw.socket.end();
      await raw.closed;
    }
  }
  const { json } = await target.call("SessionService/List", { memberId: "half" });
  expect(json.sessions ?? []).toEqual([]);
});

test("bytes after a request that are no request cost it nothing but its connection", async () => {
  const raw = await openRaw(target.port);
  raw.write(
    `POST /session.v1.SessionService/List HTTP/1.1\r\nHost: a\r\nAuthorization: ${target.home.basic}\r\n` +
      `Content-Type: application/json\r\nContent-Length: 16\r\n\r\n{"memberId":"a"}{"memberId":"b"}`,
  );
  expect((await raw.closed).match(/^HTTP\/1\.1 \d+/gm)).toEqual(["HTTP/1.1 200"]);
});

test("a message over the limit does not keep the next request on its connection waiting", async () => {
  const body = Buffer.alloc(1_200_000, 1);
  const length = Buffer.alloc(5);
  length.writeUInt32BE(body.length, 1);
  for (const [path, type] of [
    ["/session.v1.SessionService/Create", "application/grpc-web+proto"],
    ["/session.v1.SessionService/Create", "application/proto"],
    ["/session/v1/sessions", "application/json"],
  ]) {
    const raw = await openRaw(target.port);
    raw.write(
      `POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${target.home.basic}\r\nContent-Type: ${type}\r\n` +
        `Content-Length: ${body.length + 5}\r\n\r\n`,
    );
    raw.write(Buffer.concat([length, body]));
    raw.write("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(await raw.closed).toContain('{"status":"SERVING"}');
  }
});

test("2,000 idle connections, some half-sent, keep nobody else from being served", async () => {
  const beginnings = ["", "GET /", "GET / HTTP/1.1\r\nHost: a\r\n", preface, preface.slice(0, 12)];
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

test("calls that are cancelled by the thousand leave the service working and its memory bounded", async () => {
  const client = grpcClient(SessionService, `127.0.0.1:${target.port}`, credentials.createInsecure());
  onTestFinished(() => client.close());
  const { id, token } = await target.createSession({ memberId: "cancelled" });
  const metadata = new Metadata();
  metadata.set("authorization", target.home.basic);
  const cancelled = (i: number) =>
    new Promise<number>((resolve) => {
      const call = client.get({ id }, metadata, {}, (error) => resolve(error?.code ?? 0));
      // At once, in the next turn of the event loop, or when the answer may be under way.
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
  for (let i = 0; i < 15; i++) await round();
  // 3,000 calls: 10 KB that each leaves behind would be seen.
  expect(retained() - before).toBeLessThan(30e6);
  expect(await target.call("SessionService/Authenticate", { token })).toMatchObject({ status: 200 });
});

test("clients that vanish in the middle of calls leave the service working", async () => {
  for (let i = 0; i < 300; i++) {
    const socket = connect(target.port, "127.0.0.1");
    socket.on("error", () => {});
    await once(socket, "connect");
    socket.write(
      `POST /session.v1.SessionService/Create HTTP/1.1\r\nHost: a\r\nAuthorization: ${target.home.basic}\r\n` +
        `Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{"memberId": "gone"}`,
    );
    if (i % 2 === 0) socket.resetAndDestroy();
    else setImmediate(() => socket.resetAndDestroy());
  }
  expect(await target.createSession()).toMatchObject({ id: expect.any(String) });
});

test("clients that vanish with several requests under way at once leave the service working", async () => {
  const requests = [
    "GET /session.v1.ProjectService/GetJwks?encoding=json&message=%7B%7D HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web+proto\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0",
    "GET /session/v1/projects/home/jwks HTTP/1.1\r\nHost: a\r\n\r\n",
  ];
  for (let i = 0; i < 60; i++) {
    const raw = await openRaw(target.port);
    raw.write(Buffer.from(`${requests[i % 3]}${requests[(i >> 1) % 3]}${requests[(i >> 2) % 3]}`, "latin1"));
    // As early as the first request is known to have arrived, and ever later.
    for (let turn = 0; turn < i % 12; turn++) await new Promise(setImmediate);
    raw.socket.destroy();
    await raw.closed;
  }
  expect(await target.createSession()).toMatchObject({ id: expect.any(String) });
});
