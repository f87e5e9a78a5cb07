import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, createServiceImplSpec } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { pino } from "pino";
import { afterAll, describe, expect, test } from "vitest";
import { BadRequestSchema } from "../../../../gen/google/rpc/error_details_pb.ts";
import { SessiondError } from "../../../../src/domain/errors.ts";
import { callRecordKey } from "../../../../src/rpc/call-record.ts";
import { callOutcomes } from "../../../../src/rpc/connect-errors.ts";
import { CallLog } from "../../../../src/server/observability/call-log.ts";
import { createListener } from "../../../../src/server/listener/listener.ts";
import { createRpc } from "../../../../src/server/rpc/rpc-handler.ts";
import { Pipeline } from "../../../../src/transport/pipeline.ts";
import { http1Answer, http2Answer } from "../../../support/fixtures/http-answer.ts";
import { type Book, BookSchema, ShelfService } from "../../rest/gen/shelf/v1/shelf_pb.ts";

/** A server that serves plain gRPC on its streams, and one that leaves all of gRPC to Connect's handlers. */
type Way = "stream" | "connect";
const readMaxBytes = 10_000;

async function serve(way: Way) {
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
    takeStream: way === "stream" ? rpc.takeStream : undefined,
    onError: (error, place) => lines.push(`${place}: ${String(error)}`),
  });
  const { port } = await listener.listen({ host: "127.0.0.1", port: 0 });
  return { listener, port, session: connect(`http://127.0.0.1:${port}`), lines };
}

/** An implementation that behaves as the book's name says. */
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
        [{ desc: BadRequestSchema, value: { fieldViolations: [{ description: "x".repeat(2000) }] } }],
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

const servers = { stream: await serve("stream"), connect: await serve("connect") };
type Server = (typeof servers)[Way];

afterAll(async () => {
  for (const { session, listener } of Object.values(servers)) {
    session.destroy();
    await listener.drain(0);
  }
});

interface Sent {
  readonly path?: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly pieces: readonly Uint8Array[];
}

function overHttp2({ session }: Server, { path = "/shelf.v1.ShelfService/GetBook", headers, pieces }: Sent) {
  const stream = session.request({ ":method": "POST", ":path": path, ...headers });
  for (const piece of pieces) stream.write(piece);
  stream.end();
  return http2Answer(stream);
}

function overHttp1({ port }: Server, { path = "/shelf.v1.ShelfService/GetBook", headers, pieces }: Sent) {
  const [first, ...rest] = pieces;
  const request = httpRequest({ port, host: "127.0.0.1", method: "POST", path, headers, agent: false });
  if (first !== undefined && rest.length === 0) request.setHeader("content-length", first.length);
  for (const piece of pieces) request.write(piece);
  request.end();
  return http1Answer(request);
}

/** The answer without its date, and the log lines without times. */
async function outcome(way: Way, send: typeof overHttp1, sent: Sent) {
  const server = servers[way];
  server.lines.length = 0;
  const defined = Object.entries(sent.headers).filter(([, value]) => value !== undefined);
  const withId = { "x-request-id": "the-request", ...Object.fromEntries(defined) };
  const { status, headers, body, trailers } = await send(server, { ...sent, headers: withId });
  await expect.poll(() => server.lines.length).toBeGreaterThan(0);
  const lines = server.lines.map((line) =>
    line.startsWith("{")
      ? line.replace(/"(uuid|time|duration_ms)":("[^"]*"|[\d.]+),?/g, "").replace(/\\n +at [^"]*/g, "")
      : line,
  );
  const { date: _, ...stable } = headers;
  return { status, headers: { ...stable }, body: body.toString("latin1"), trailers: { ...trailers }, lines };
}

/** Pieces of a body, headers, and the rest of a request. */
type Request = [pieces: Uint8Array[], headers?: Sent["headers"], rest?: Partial<Sent>];

const at = (method: string) => ({ path: `/shelf.v1.ShelfService/${method}` });
const frame = (message: Uint8Array, flags = 0) => encodeEnvelope(flags, message);

const named = (name: string) => create(BookSchema, { name });
const binary = (name: string) => toBinary(BookSchema, named(name));
const json = (name: string) => Buffer.from(toJsonString(BookSchema, named(name)));

/** What the implementation of this name does, as status of gRPC and of HTTP. */
const behaviours: [name: string, grpcStatus: string, httpStatus: number][] = [
  ["echo", "0", 200],
  ["context", "0", 200],
  ["headers", "0", 200],
  ["large", "0", 200],
  ["sessiond error", "3", 400],
  ["connect error", "7", 403],
  ["plain error", "13", 500],
];

describe("gRPC on a stream is answered as by Connect's handlers", () => {
  const grpc = { "content-type": "application/grpc", te: "trailers" };

  /** The answer of both servers, after a check that they are the same. */
  async function answerOf(sent: Sent) {
    const onStream = await outcome("stream", overHttp2, sent);
    expect(onStream).toEqual(await outcome("connect", overHttp2, sent));
    return onStream;
  }

  test.each(behaviours)("an implementation with %s", async (name, grpcStatus) => {
    const { status, trailers } = await answerOf({ headers: grpc, pieces: [frame(binary(name))] });
    expect([status, trailers["grpc-status"]]).toEqual([200, grpcStatus]);
  });

  const echo = [frame(binary("echo"))];
  const context = [frame(binary("context"))];
  const gzipped = [frame(gzipSync(binary("echo")), 1)];
  const type = (contentType: string) => ({ "content-type": contentType });
  const gzip = { "grpc-encoding": "gzip" };
  const anonymous = { authorization: "none" };
  test.each<[name: string, expected: string | number, ...Request]>([
    ["+proto", "0", echo, type("application/grpc+proto")],
    ["JSON", "0", [frame(json("echo"))], type("application/grpc+json")],
    ["a content type in upper case", "0", echo, type("application/GRPC")],
    ["no content type", 415, echo, { "content-type": undefined }],
    ["another content type", 415, echo, type("text/plain")],
    ["gRPC-Web", 200, echo, type("application/grpc-web")],
    ["a query", "0", echo, {}, at("GetBook?a=b")],
    ["a message in pieces", "0", Array.from(frame(binary("echo")), (byte) => Uint8Array.of(byte))],
    ["an empty message", "0", [frame(new Uint8Array())]],
    ["no message", "12", []],
    ["two messages", "12", [...echo, ...echo]],
    ["half a message", "3", [frame(binary("echo")).subarray(0, 8)]],
    ["half a prefix", "3", [Uint8Array.of(0, 0)]],
    ["more bytes than announced", "3", [...echo, Uint8Array.of(1)]],
    ["unknown flags", "0", [frame(binary("echo"), 0x7e)]],
    ["compression without a name", "3", gzipped],
    ["gzip", "0", gzipped, gzip],
    ["gzip that is announced but not used", "0", echo, gzip],
    ["bytes that are not gzip", "3", [frame(binary("echo"), 1)], gzip],
    ["identity", "0", echo, { "grpc-encoding": "identity" }],
    ["the largest size", "3", [frame(Buffer.alloc(readMaxBytes))]],
    ["one byte too many", "8", [frame(Buffer.alloc(readMaxBytes + 1))]],
    ["many bytes too many", "8", [frame(Buffer.alloc(readMaxBytes * 50))]],
    ["an enormous announced length", "8", [Uint8Array.of(0, 255, 255, 255, 255)]],
    ["a deadline", "0", context, { "grpc-timeout": "5S" }],
    ["a long deadline", "0", context, { "grpc-timeout": "99999999H" }],
    ["a deadline that passes", "4", [frame(binary("wait"))], { "grpc-timeout": "1m" }],
    ["no credential and no message", "16", [], anonymous],
    ["no credential and a long message", "16", [frame(Buffer.alloc(readMaxBytes * 20))], anonymous],
    ["an unimplemented method", "12", echo, {}, at("UpdateBook")],
    ["headers of the caller", "0", context, { "x-asked": "ä" }],
  ])("%s", async (_, expected, pieces, headers, rest) => {
    const { status, ...answer } = await answerOf({ headers: { ...grpc, ...headers }, pieces, ...rest });
    const grpcStatus = answer.trailers["grpc-status"] ?? answer.headers["grpc-status"];
    expect(typeof expected === "string" ? grpcStatus : status).toBe(expected);
  });

  test("an answer that cannot be encoded is an internal error without its cause", async () => {
    const { trailers } = await outcome("stream", overHttp2, {
      ...at("ListBooks"),
      headers: grpc,
      pieces: echo,
    });
    expect(trailers).toMatchObject({ "grpc-status": "13", "grpc-message": "internal error" });
  });

  test.each([
    ["gzip", "gzip"],
    ["br", "br"],
    ["identity,deflate,gzip", "gzip"],
    ["snappy", undefined],
    ["", undefined],
    ["gzip;q=1, br", "br"],
  ])("a client that accepts %j gets %s", async (accepted, encoding) => {
    const headers = { ...grpc, "grpc-accept-encoding": accepted };
    for (const name of ["large", "echo", "connect error"]) {
      const answer = await answerOf({ headers, pieces: [frame(binary(name))] });
      expect(answer.headers["grpc-encoding"]).toBe(encoding);
    }
  });
});

describe.each([
  ["HTTP/1.1", overHttp1],
  ["HTTP/2", overHttp2],
])("Connect over %s", (_, send) => {
  const asJson = { "content-type": "application/json" };
  const asProto = { "content-type": "application/proto" };
  const answerOf = (sent: Sent) => outcome("stream", send, sent);

  test.each(behaviours)(
    "an implementation with %s answers alike in JSON and protobuf",
    async (name, _grpc, status) => {
      const inJson = await answerOf({ headers: asJson, pieces: [json(name)] });
      const inProto = await answerOf({ headers: asProto, pieces: [binary(name)] });
      const any = { "content-length": expect.anything(), "content-type": expect.anything() };
      expect(inJson).toMatchObject({ status, headers: { ...inProto.headers, ...any } });
      expect(inProto.status).toBe(status);
      const message = () => fromBinary(BookSchema, Buffer.from(inProto.body, "latin1"));
      expect(inJson.body).toBe(status === 200 ? toJsonString(BookSchema, message()) : inProto.body);
    },
  );

  const echo = json("echo");
  const spaces = (length: number) => Buffer.alloc(length, " ");
  const anonymous = { authorization: "none" };
  const gzip = { "content-encoding": "gzip" };
  test.each<[name: string, status: number, text: string, ...Request]>([
    ["a charset", 200, "echo", [echo], { "content-type": "application/json; charset=utf-8" }],
    ["another charset", 415, "", [json("é")], { "content-type": "application/json; charset=latin1" }],
    ["a form", 415, "", [echo], { "content-type": "application/x-www-form-urlencoded" }],
    ["no content type", 415, "", [echo], { "content-type": undefined }],
    ["a query", 200, "echo", [echo], {}, at("GetBook?a=b")],
    ["a message in pieces", 200, "echo", [echo.subarray(0, 3), echo.subarray(3)]],
    ["an empty message", 200, "", [], asProto],
    ["an empty object", 200, "{}", [Buffer.from("{}")]],
    ["a repeated member", 400, "", [Buffer.from('{"name":"a","name":"b"}')]],
    ["malformed UTF-8", 400, "", [Buffer.from('{"name":"\xff"}', "latin1")]],
    ["gzip", 200, "echo", [gzipSync(echo)], gzip],
    ["bytes that are not gzip", 400, "", [echo], gzip],
    ["identity", 200, "echo", [echo], { "content-encoding": "identity" }],
    ["the largest size", 200, "{}", [Buffer.from("{}".padEnd(readMaxBytes))]],
    ["one byte too many", 429, "", [Buffer.from("{}".padEnd(readMaxBytes + 1))]],
    ["too many bytes in pieces", 429, "", Array<Buffer>(20).fill(spaces(1000))],
    ["a deadline", 200, "true", [json("context")], { "connect-timeout-ms": "5000" }],
    ["a long deadline", 200, "true", [json("context")], { "connect-timeout-ms": "9999999999" }],
    ["a deadline that passes", 504, "deadline_exceeded", [json("wait")], { "connect-timeout-ms": "1" }],
    ["a protocol version", 200, "echo", [echo], { "connect-protocol-version": "1" }],
    ["no credential and a long message", 401, "unauthenticated", [spaces(readMaxBytes * 20)], anonymous],
    ["an answer that cannot be encoded", 500, '"internal error"', [binary("a")], asProto, at("ListBooks")],
    ["an unimplemented method", 501, "unimplemented", [binary("a")], asProto, at("UpdateBook")],
  ])("%s", async (_name, status, text, pieces, headers, rest) => {
    const answer = await answerOf({ headers: { ...asJson, ...headers }, pieces, ...rest });
    expect([answer.status, answer.body]).toEqual([status, expect.stringContaining(text)]);
  });

  test.each([
    ["gzip", "gzip"],
    ["br", "br"],
    ["gzip, deflate, br", "gzip"],
    ["snappy", undefined],
    ["*", undefined],
  ])("a client that accepts %j gets %s for long answers", async (accepted, encoding) => {
    for (const name of ["large", "echo", "connect error"]) {
      const sent = { headers: { ...asJson, "accept-encoding": accepted }, pieces: [json(name)] };
      expect((await answerOf(sent)).headers["content-encoding"]).toBe(name === "echo" ? undefined : encoding);
    }
  });
});
