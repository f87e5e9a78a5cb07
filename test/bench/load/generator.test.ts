import { once } from "node:events";
import { type Server, createServer as createHttp1Server } from "node:http";
import { type Http2Server, constants, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { generate } from "./generator.ts";
import type { Job } from "./job.ts";

const job: Omit<Job, "url"> = {
  protocol: "grpc",
  connections: 2,
  streams: 3,
  path: "/pkg.Svc/Method",
  headers: { authorization: "Basic eA==" },
  body: Buffer.from("\0\0\0\0\x0eid000000000000").toString("base64"),
  until: { calls: 40 },
  warmUpSeconds: 0,
};
const numbers = { kind: "numbers", at: 7, first: 100, count: 40, skip: 0, again: false } as const;

test("a gRPC call counts by its status, wherever that stands", async () => {
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
        return stream.end("not gRPC");
      }
      stream.respond({ ...grpc, "x-request-id": crypto.randomUUID() }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": kind === 5 ? "13" : "0" }));
      return stream.end(kind === 6 ? "another answer" : "the answer");
    }),
  );
  const { outcomes, calls: counted, made } = await generate({ ...job, url, expect: "the answer" });
  expect(outcomes).toEqual({
    "grpc 5": 5,
    "http 503": 5,
    "reset 7": 5,
    "no grpc-status": 5,
    "http 404": 5,
    "grpc 13": 5,
    "unexpected answer": 5,
    ok: 5,
  });
  expect(counted).toBe(40);
  expect(made).toBe(40);
});

test("an HTTP/1.1 call counts by its status and its answer", async () => {
  let calls = 0;
  const url = await listen(
    createHttp1Server((request, response) => {
      const kind = calls++ % 4;
      request.resume().on("end", () => {
        response.statusCode = kind === 0 ? 404 : 200;
        // Written in two parts it is chunked.
        if (kind === 1) response.write("the ans");
        response.end(["the answer", "wer", "another one", "the answer"][kind]);
      });
    }),
  );
  const { outcomes } = await generate({ ...job, protocol: "http1", url, expect: "ans" });
  expect(outcomes).toEqual({ "http 404": 10, ok: 20, "unexpected answer": 10 });
});

test("a connection that is lost is no success", async () => {
  const url = await listen(createHttp1Server((request) => request.socket.destroy()));
  const { outcomes } = await generate({ ...job, protocol: "http1", url });
  expect(Object.keys(outcomes)).toEqual([expect.stringMatching("connection lost")]);
});

test.each(["grpc", "http1"] as const)("every call carries another number, over %s", async (protocol) => {
  const bodies: string[] = [];
  const url = await listen(
    protocol === "grpc"
      ? createHttp2Server((request, response) => {
          request.setEncoding("latin1").on("data", (text: string) => bodies.push(text));
          request.on("end", () => {
            response.addTrailers({ "grpc-status": "0" });
            response.end("x");
          });
        })
      : createHttp1Server((request, response) => {
          request.setEncoding("latin1").on("data", (text: string) => bodies.push(text));
          request.on("end", () => response.end());
        }),
  );
  const { outcomes } = await generate({ ...job, url, protocol, vary: numbers });
  expect(outcomes).toEqual({ ok: 40 });
  const expected = Array.from({ length: 40 }, (_, i) => (100 + i).toString(16).padStart(12, "0"));
  expect(bodies.map((body) => body.slice(7)).toSorted()).toEqual(expected);
  expect(bodies.every((body) => body.startsWith("\0\0\0\0\x0eid"))).toBe(true);
});

test("sends more data than a connection's first window holds, and for a time", async () => {
  const url = await listen(
    createHttp2Server((request, response) => {
      request.resume().on("end", () => {
        response.addTrailers({ "grpc-status": "0" });
        response.end("x".repeat(2000));
      });
    }),
  );
  const body = Buffer.alloc(5000).toString("base64");
  const some = await generate({ ...job, url, body, connections: 1, until: { calls: 100 } });
  expect(some.outcomes).toEqual({ ok: 100 });
  const timed = await generate({ ...job, url, body, until: { seconds: 0.3 }, warmUpSeconds: 0.1 });
  expect(Object.keys(timed.outcomes)).toEqual(["ok"]);
  expect(timed.calls).toBe(timed.outcomes["ok"]);
  expect(timed.made).toBeGreaterThan(timed.calls);
  expect(timed.latency.max).toBeGreaterThanOrEqual(timed.latency.p50);
});

async function listen(server: Server | Http2Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
