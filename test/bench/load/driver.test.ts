import { once } from "node:events";
import { type IncomingMessage, type Server, createServer as createHttp1Server } from "node:http";
import {
  type Http2Server,
  type Http2ServerRequest,
  constants,
  createServer as createHttp2Server,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { drive } from "./driver.ts";
import type { Job } from "./job.ts";

const job: Omit<Job, "url"> = {
  protocol: "grpc",
  connections: 2,
  streams: 3,
  path: "/pkg.Svc/Method",
  method: "POST",
  headers: { authorization: "Basic eA==" },
  body: Buffer.from("\0\0\0\0\x0eid000000000000"),
  expect: "the answer",
  until: { calls: 40 },
};
const numbers = { kind: "numbers", at: 7, first: 100, count: 40, skip: 0, again: false } as const;

test("counts a gRPC call as successful only with grpc-status 0 and the expected answer", async () => {
  let calls = 0;
  const url = await listen(
    createHttp2Server().on("stream", (stream) => {
      const grpc = { ":status": 200, "content-type": "application/grpc" };
      const kind = calls++ % 8;
      stream.resume().on("error", () => undefined);
      if (kind === 0) {
        return stream.respond(
          { ...grpc, "grpc-status": "5", "grpc-message": "no such" },
          { endStream: true },
        );
      }
      if (kind === 1) return stream.respond({ ":status": 503 }, { endStream: true });
      if (kind === 2) return stream.close(constants.NGHTTP2_REFUSED_STREAM);
      if (kind === 3) return stream.respond(grpc, { endStream: true });
      if (kind === 4) {
        stream.respond({ ...grpc, ":status": 404 });
        return stream.end("the answer");
      }
      stream.respond({ ...grpc, "x-request-id": crypto.randomUUID() }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": kind === 5 ? "13" : "0" }));
      return stream.end(kind === 6 ? "another" : "the answer");
    }),
  );
  const { outcomes, made } = await drive({ ...job, url });
  expect(outcomes).toEqual({ failed: 25, reset: 5, "unexpected answer": 5, ok: 5 });
  expect(made).toBe(40);
});

test.each(["http1", "http2"] as const)("counts a call by status and answer, over %s", async (protocol) => {
  let calls = 0;
  const handle = (
    request: IncomingMessage | Http2ServerRequest,
    response: { statusCode: number; end(text: string): unknown },
  ) => {
    const kind = calls++ % 4;
    request.resume().on("end", () => {
      response.statusCode = kind === 0 ? 404 : 200;
      response.end(["the answer", "the answer", "another", "the answer"][kind] ?? "");
    });
  };
  const url = await listen(
    protocol === "http1"
      ? createHttp1Server(handle)
      : createHttp2Server((request, response) => handle(request, response)),
  );
  const { outcomes } = await drive({ ...job, protocol, streams: protocol === "http1" ? 1 : 3, url });
  expect(outcomes).toEqual({
    [protocol === "http1" ? "http 404" : "failed"]: 10,
    ok: 20,
    "unexpected answer": 10,
  });
});

test.each(["http1", "grpc"] as const)("counts a lost connection as a failure, over %s", async (protocol) => {
  const url = await listen(
    protocol === "http1"
      ? createHttp1Server((request) => request.socket.destroy())
      : createHttp2Server().on("stream", (stream) => stream.session?.destroy()),
  );
  const { outcomes } = await drive({ ...job, protocol, url });
  expect(Object.keys(outcomes)).toEqual(["connection lost"]);
});

test.each(["grpc", "http1"] as const)("every call carries another number, over %s", async (protocol) => {
  const bodies: string[] = [];
  const url = await listen(
    protocol === "grpc"
      ? createHttp2Server((request, response) => {
          request.setEncoding("latin1").on("data", (text: string) => bodies.push(text));
          request.on("end", () => {
            response.addTrailers({ "grpc-status": "0" });
            response.end("the answer");
          });
        })
      : createHttp1Server((request, response) => {
          request.setEncoding("latin1").on("data", (text: string) => bodies.push(text));
          request.on("end", () => response.end("the answer"));
        }),
  );
  const { outcomes } = await drive({ ...job, url, protocol, vary: numbers });
  expect(outcomes).toEqual({ ok: 40 });
  const expected = Array.from({ length: 40 }, (_, i) => (100 + i).toString(16).padStart(12, "0"));
  expect(bodies.map((body) => body.slice(7)).toSorted()).toEqual(expected);
  expect(bodies.every((body) => body.startsWith("\0\0\0\0\x0eid"))).toBe(true);
});

test("makes calls for a time", async () => {
  const url = await listen(
    createHttp2Server((request, response) => {
      request.resume().on("end", () => {
        response.addTrailers({ "grpc-status": "0" });
        response.end("the answer".padEnd(2000));
      });
    }),
  );
  const { outcomes, made, perSecond, latency } = await drive({ ...job, url, until: { seconds: 0.3 } });
  expect(Object.keys(outcomes)).toEqual(["ok"]);
  expect(made).toBeGreaterThan(outcomes["ok"] ?? NaN);
  expect(perSecond).toBeGreaterThan(0);
  expect(latency.p99).toBeGreaterThanOrEqual(latency.p50);
});

async function listen(server: Server | Http2Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
