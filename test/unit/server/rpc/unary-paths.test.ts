import { once } from "node:events";
import { type IncomingHttpHeaders, request as httpRequest } from "node:http";
import { type ClientHttp2Session, connect } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, createServiceImplSpec } from "@connectrpc/connect";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BadRequestSchema } from "../../../../gen/google/rpc/error_details_pb.ts";
import { SessiondError } from "../../../../src/domain/errors.ts";
import { callRecordKey } from "../../../../src/rpc/call-record.ts";
import { callOutcomes } from "../../../../src/rpc/connect-errors.ts";
import { CallLog } from "../../../../src/server/observability/call-log.ts";
import { type Listener, createListener } from "../../../../src/server/listener/listener.ts";
import { createRpc } from "../../../../src/server/rpc/rpc-handler.ts";
import { Pipeline } from "../../../../src/transport/pipeline.ts";
import { type Book, BookSchema, ShelfService } from "../../rest/gen/shelf/v1/shelf_pb.ts";

/** A server that takes the short way where it can, and one that leaves everything to Connect's own handlers. */
const ways = ["short", "connect"] as const;
type Way = (typeof ways)[number];
interface Server {
  readonly listener: Listener;
  readonly port: number;
  readonly session: ClientHttp2Session;
  readonly lines: string[];
}
const servers = {} as Record<Way, Server>;

const readMaxBytes = 10_000;

async function serve(way: Way): Promise<Server> {
  const lines: string[] = [];
  const calls = new CallLog(pino({ base: null }, { write: (line) => lines.push(line) }));
  const pipeline = new Pipeline({
    outcomes: callOutcomes,
    requestGate: async (call) => {
      call.values.get(callRecordKey).method = call.method.name;
      call.values.get(callRecordKey).protocol = call.protocolName;
      if (call.requestHeader.get("authorization") === "none") throw new SessiondError("CREDENTIAL_MISSING");
    },
    readMaxBytes,
  });
  const rpc = createRpc({
    services: [
      createServiceImplSpec<typeof ShelfService>(ShelfService, { getBook: answer, listBooks: hidden }),
    ],
    pipeline,
    calls,
    onError: (error) => lines.push(`trouble: ${String(error)}`),
  });
  const listener = createListener({
    handler: calls.around((request, response) => rpc.handle(request, response)),
    takeStream: way === "short" ? rpc.takeStream : undefined,
    onError: (error, place) => lines.push(`${place}: ${String(error)}`),
  });
  const { port } = await listener.listen({ host: "127.0.0.1", port: 0 });
  return { listener, port, session: connect(`http://127.0.0.1:${port}`), lines };
}

/** An implementation that does as the book's name says. */
async function answer(book: Book, context: HandlerContext) {
  switch (book.name) {
    case "context":
      return {
        tags: [
          context.service.typeName,
          context.method.name,
          context.requestMethod,
          context.protocolName,
          context.url.replace(/:\d+/, ""),
          context.requestHeader.get("x-asked") ?? "",
          String([...context.requestHeader.keys()].some((name) => name.startsWith(":"))),
          String((context.timeoutMs() ?? 0) > 1000),
          String(context.signal.aborted),
        ],
      };
    case "headers":
      context.responseHeader.set("x-said", "one");
      context.responseHeader.append("set-cookie", "a=1");
      context.responseHeader.append("set-cookie", "b=2");
      context.responseTrailer.set("x-trailing", "two");
      context.responseTrailer.set("x-bytes-bin", "AAEC");
      return {};
    case "large":
      return { tags: Array.from({ length: 400 }, (_, i) => `tag ${i}`) };
    case "sessiond error":
      context.responseTrailer.set("x-trailing", "with an error");
      throw new SessiondError("FIELD_INVALID", {
        violations: [{ field: "näme", description: "100% wrong: [a] & 'b'\n" }],
      });
    case "connect error":
      throw new ConnectError(
        "no, you may not",
        Code.PermissionDenied,
        { "x-meta": "why", "grpc-status": "0" },
        [
          {
            desc: BadRequestSchema,
            value: { fieldViolations: [{ field: "f", description: "x".repeat(2000) }] },
          },
        ],
      );
    case "plain error":
      throw new Error("a secret");
    case "wait":
      await once(context.signal, "abort");
      throw context.signal.reason;
    default:
      return book;
  }
}

/** Answers that cannot be encoded. */
function hidden() {
  return { pages: 2 ** 40 };
}

beforeAll(async () => {
  for (const way of ways) servers[way] = await serve(way);
});

afterAll(async () => {
  for (const { session, listener } of Object.values(servers)) {
    session.destroy();
    await listener.drain(0);
  }
});

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly pieces: readonly Uint8Array[];
}

interface Received {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders;
}

const path = "/shelf.v1.ShelfService/GetBook";

async function overHttp2({ session }: Server, sent: Sent): Promise<Received> {
  const stream = session.request({
    ":method": sent.method ?? "POST",
    ":path": sent.path ?? path,
    ...sent.headers,
  });
  const received = { status: 0, headers: {}, trailers: {} };
  const chunks: Buffer[] = [];
  stream.on("response", (headers) => Object.assign(received, { status: headers[":status"], headers }));
  stream.on("trailers", (trailers) => Object.assign(received, { trailers }));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => {});
  for (const piece of sent.pieces) stream.write(piece);
  stream.end();
  await once(stream, "close");
  return { ...received, body: Buffer.concat(chunks) };
}

async function overHttp1({ port }: Server, sent: Sent): Promise<Received> {
  const request = httpRequest({
    port,
    host: "127.0.0.1",
    method: sent.method ?? "POST",
    path: sent.path ?? path,
    headers: sent.headers ?? {},
    agent: false,
  });
  const [first, ...rest] = sent.pieces;
  if (first !== undefined && rest.length === 0) request.setHeader("content-length", first.length);
  for (const piece of sent.pieces) request.write(piece);
  request.end();
  const [response] = await once(request, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return {
    status: response.statusCode,
    headers: response.headers,
    body: Buffer.concat(chunks),
    trailers: response.trailers,
  };
}

/** What both ways must agree on: the answer, but for the time, and the line in the log, but for how long it took. */
async function outcome(way: Way, send: typeof overHttp1, sent: Sent) {
  const server = servers[way];
  server.lines.length = 0;
  const { status, headers, body, trailers } = await send(server, {
    ...sent,
    headers: { "x-request-id": "the-request", ...sent.headers },
  });
  await expect.poll(() => server.lines.length).toBeGreaterThan(0);
  const lines = server.lines.map((line) =>
    line.startsWith("{")
      ? line.replace(/"(uuid|time|duration_ms)":("[^"]*"|[\d.]+),?/g, "").replace(/\\n +at [^"]*/g, "")
      : line,
  );
  const { date: _, ...stable } = headers;
  return { status, headers: { ...stable }, body: body.toString("latin1"), trailers: { ...trailers }, lines };
}

async function outcomes(send: typeof overHttp1, sent: Sent) {
  return { short: await outcome("short", send, sent), connect: await outcome("connect", send, sent) };
}

function frame(message: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

const named = (name: string) => create(BookSchema, { name });
const binary = (name: string) => toBinary(BookSchema, named(name));
const json = (name: string) => Buffer.from(toJsonString(BookSchema, named(name)));
const names = ["echo", "context", "headers", "large", "sessiond error", "connect error", "plain error"];

describe("gRPC", () => {
  const grpc = { "content-type": "application/grpc", te: "trailers" };
  const one = [frame(binary("echo"))];

  test.each(names)("an implementation that does %s", async (name) => {
    const { short, connect } = await outcomes(overHttp2, { headers: grpc, pieces: [frame(binary(name))] });
    expect(short).toEqual(connect);
    expect(short.status).toBe(200);
  });

  test.each<[string, Sent]>([
    ["+proto", { headers: { ...grpc, "content-type": "application/grpc+proto" }, pieces: one }],
    [
      "JSON",
      { headers: { ...grpc, "content-type": "application/grpc+json" }, pieces: [frame(json("echo"))] },
    ],
    ["in upper case", { headers: { ...grpc, "content-type": "application/GRPC" }, pieces: one }],
    ["no content type", { headers: { te: "trailers" }, pieces: one }],
    ["another content type", { headers: { "content-type": "text/plain" }, pieces: one }],
    ["gRPC-Web", { headers: { "content-type": "application/grpc-web" }, pieces: one }],
    ["GET", { method: "GET", headers: grpc, pieces: [] }],
    ["PUT", { method: "PUT", headers: grpc, pieces: one }],
    ["a query", { path: `${path}?a=b`, headers: grpc, pieces: one }],
    ["in pieces", { headers: grpc, pieces: [...frame(binary("echo"))].map((byte) => Uint8Array.of(byte)) }],
    ["an empty message", { headers: grpc, pieces: [frame(new Uint8Array())] }],
    ["no message", { headers: grpc, pieces: [] }],
    ["an empty body", { headers: grpc, pieces: [new Uint8Array()] }],
    ["two messages", { headers: grpc, pieces: [...one, ...one] }],
    ["half a message", { headers: grpc, pieces: [frame(binary("echo")).subarray(0, 8)] }],
    ["half a prefix", { headers: grpc, pieces: [Uint8Array.of(0, 0)] }],
    ["more than it says", { headers: grpc, pieces: [frame(binary("echo")), Uint8Array.of(1)] }],
    ["no protobuf", { headers: grpc, pieces: [frame(Uint8Array.of(255, 255, 255))] }],
    ["unknown flags", { headers: grpc, pieces: [frame(binary("echo"), 0x7e)] }],
    ["compressed, it says nowhere", { headers: grpc, pieces: [frame(gzipSync(binary("echo")), 1)] }],
    ["gzip", { headers: { ...grpc, "grpc-encoding": "gzip" }, pieces: [frame(gzipSync(binary("echo")), 1)] }],
    ["gzip, not used", { headers: { ...grpc, "grpc-encoding": "gzip" }, pieces: one }],
    ["no gzip", { headers: { ...grpc, "grpc-encoding": "gzip" }, pieces: [frame(binary("echo"), 1)] }],
    ["identity", { headers: { ...grpc, "grpc-encoding": "identity" }, pieces: one }],
    ["an unknown encoding", { headers: { ...grpc, "grpc-encoding": "zstd" }, pieces: one }],
    ["just as large as allowed", { headers: grpc, pieces: [frame(Buffer.alloc(readMaxBytes))] }],
    ["too large", { headers: grpc, pieces: [frame(Buffer.alloc(readMaxBytes + 1))] }],
    ["much too large", { headers: grpc, pieces: [frame(Buffer.alloc(readMaxBytes * 50))] }],
    ["endless, it says", { headers: grpc, pieces: [Uint8Array.of(0, 255, 255, 255, 255)] }],
    ["a deadline", { headers: { ...grpc, "grpc-timeout": "5S" }, pieces: [frame(binary("context"))] }],
    [
      "a long deadline",
      { headers: { ...grpc, "grpc-timeout": "99999999H" }, pieces: [frame(binary("context"))] },
    ],
    ["no deadline", { headers: { ...grpc, "grpc-timeout": "soon" }, pieces: one }],
    [
      "a deadline that passes",
      { headers: { ...grpc, "grpc-timeout": "1m" }, pieces: [frame(binary("wait"))] },
    ],
    ["no credential", { headers: { ...grpc, authorization: "none" }, pieces: one }],
    ["no credential and no message", { headers: { ...grpc, authorization: "none" }, pieces: [] }],
    [
      "no credential and a long message",
      { headers: { ...grpc, authorization: "none" }, pieces: [frame(Buffer.alloc(readMaxBytes * 20))] },
    ],
    ["an unimplemented method", { path: "/shelf.v1.ShelfService/UpdateBook", headers: grpc, pieces: one }],
    ["headers of the caller", { headers: { ...grpc, "x-asked": "ä" }, pieces: [frame(binary("context"))] }],
  ])("%s", async (_, sent) => {
    const { short, connect } = await outcomes(overHttp2, sent);
    expect(short).toEqual(connect);
  });

  test("an answer that cannot be encoded is an internal error, whose cause nobody is told", async () => {
    const sent = { path: "/shelf.v1.ShelfService/ListBooks", headers: grpc, pieces: one };
    const { trailers } = await outcome("short", overHttp2, sent);
    expect(trailers).toMatchObject({ "grpc-status": "13", "grpc-message": "internal error" });
  });

  test.each(["gzip", "br", "identity,deflate,gzip", "snappy", "", "gzip;q=1, br"])(
    "a client that accepts %j",
    async (accepted) => {
      const headers = { ...grpc, "grpc-accept-encoding": accepted };
      for (const name of ["large", "echo", "connect error"]) {
        const { short, connect } = await outcomes(overHttp2, { headers, pieces: [frame(binary(name))] });
        expect(short).toEqual(connect);
      }
    },
  );
});

describe.each([
  ["HTTP/1.1", overHttp1],
  ["HTTP/2", overHttp2],
])("Connect over %s", (_, send) => {
  const asJson = { "content-type": "application/json" };
  const asProto = { "content-type": "application/proto" };

  test.each(names)("an implementation that does %s", async (name) => {
    for (const sent of [
      { headers: asJson, pieces: [json(name)] },
      { headers: asProto, pieces: [binary(name)] },
    ]) {
      const { short, connect } = await outcomes(send, sent);
      expect(short).toEqual(connect);
    }
  });

  test.each<[string, Sent]>([
    ["a charset", { headers: { "content-type": "application/json; charset=utf-8" }, pieces: [json("echo")] }],
    [
      "another charset",
      { headers: { "content-type": "application/json; charset=latin1" }, pieces: [json("é")] },
    ],
    ["a form", { headers: { "content-type": "application/x-www-form-urlencoded" }, pieces: [json("echo")] }],
    ["no content type", { pieces: [json("echo")] }],
    ["GET", { method: "GET", headers: asJson, pieces: [] }],
    ["DELETE", { method: "DELETE", headers: asJson, pieces: [] }],
    ["a query", { path: `${path}?a=b`, headers: asJson, pieces: [json("echo")] }],
    ["in pieces", { headers: asJson, pieces: [json("echo").subarray(0, 3), json("echo").subarray(3)] }],
    ["an empty body", { headers: asJson, pieces: [] }],
    ["an empty message", { headers: asProto, pieces: [] }],
    ["an empty object", { headers: asJson, pieces: [Buffer.from("{}")] }],
    ["no JSON", { headers: asJson, pieces: [Buffer.from("{oops")] }],
    ["a member twice", { headers: asJson, pieces: [Buffer.from('{"name":"a","name":"b"}')] }],
    ["an unknown member", { headers: asJson, pieces: [Buffer.from('{"nama":"a"}')] }],
    ["no UTF-8", { headers: asJson, pieces: [Buffer.from('{"name":"\xff"}', "latin1")] }],
    ["no protobuf", { headers: asProto, pieces: [Uint8Array.of(255, 255)] }],
    ["gzip", { headers: { ...asJson, "content-encoding": "gzip" }, pieces: [gzipSync(json("echo"))] }],
    ["no gzip", { headers: { ...asJson, "content-encoding": "gzip" }, pieces: [json("echo")] }],
    ["identity", { headers: { ...asJson, "content-encoding": "identity" }, pieces: [json("echo")] }],
    ["an unknown encoding", { headers: { ...asJson, "content-encoding": "zstd" }, pieces: [json("echo")] }],
    ["just as large as allowed", { headers: asJson, pieces: [Buffer.from("{}".padEnd(readMaxBytes))] }],
    ["too large", { headers: asJson, pieces: [Buffer.from("{}".padEnd(readMaxBytes + 1))] }],
    ["too large, in pieces", { headers: asJson, pieces: Array<Buffer>(20).fill(Buffer.alloc(1000, " ")) }],
    ["a deadline", { headers: { ...asJson, "connect-timeout-ms": "5000" }, pieces: [json("context")] }],
    [
      "a long deadline",
      { headers: { ...asJson, "connect-timeout-ms": "9999999999" }, pieces: [json("context")] },
    ],
    ["no deadline", { headers: { ...asJson, "connect-timeout-ms": "soon" }, pieces: [json("echo")] }],
    ["a deadline that passes", { headers: { ...asJson, "connect-timeout-ms": "1" }, pieces: [json("wait")] }],
    [
      "a protocol version",
      { headers: { ...asJson, "connect-protocol-version": "1" }, pieces: [json("echo")] },
    ],
    ["no credential", { headers: { ...asJson, authorization: "none" }, pieces: [json("echo")] }],
    [
      "no credential and a long message",
      { headers: { ...asJson, authorization: "none" }, pieces: [Buffer.alloc(readMaxBytes * 20, " ")] },
    ],
    [
      "an answer that cannot be encoded",
      { path: "/shelf.v1.ShelfService/ListBooks", headers: asJson, pieces: [json("a")] },
    ],
    [
      "an unimplemented method",
      { path: "/shelf.v1.ShelfService/UpdateBook", headers: asProto, pieces: [binary("a")] },
    ],
  ])("%s", async (_, sent) => {
    const { short, connect } = await outcomes(send, sent);
    expect(short).toEqual(connect);
  });

  test.each(["gzip", "br", "gzip, deflate, br", "snappy", "*"])(
    "a client that accepts %j",
    async (accepted) => {
      const headers = { ...asJson, "accept-encoding": accepted };
      for (const name of ["large", "echo", "connect error"]) {
        const { short, connect } = await outcomes(send, { headers, pieces: [json(name)] });
        expect(short).toEqual(connect);
      }
    },
  );
});
