import { brotliCompressSync, gzipSync } from "node:zlib";
import { create as message, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { CreateRequestSchema } from "../../../gen/session/v1/session_service_pb.ts";
import { envelope } from "../../support/fixtures/http2-bytes.ts";
import { type RawCall, protocols, rawCall } from "./rpc-call.ts";
import { attackTarget } from "./target.ts";

const target = await attackTarget();
const limit = 1_048_576;
const method = "session.v1.SessionService/Create";
const good = toBinary(CreateRequestSchema, message(CreateRequestSchema, { memberId: "alice" }));
const large = toBinary(CreateRequestSchema, message(CreateRequestSchema, { memberId: "a".repeat(limit) }));
/** Inflates to 64 MiB. */
const bomb = gzipSync(Buffer.alloc(64 * limit));
const brotliBomb = brotliCompressSync(Buffer.alloc(64 * limit));

const json = (text: string, encoding: BufferEncoding = "utf8") =>
  ({ message: Buffer.from(text, encoding), format: "json" }) as const;

const invalid: Record<string, Omit<RawCall, "method">> = {
  "protobuf that ends early": { message: Uint8Array.of(0x0a, 0x7f, 0x41) },
  "a field number of 0": { message: Uint8Array.of(0x00, 0x01) },
  "a wire type that does not exist": { message: Uint8Array.of(0x0f) },
  "a varint of 11 bytes": { message: Buffer.from("ffffffffffffffffffffff01", "hex") },
  "a group without an end": { message: Uint8Array.of(0x0b) },
  "text that is not UTF-8": { message: Uint8Array.of(0x0a, 2, 0xff, 0xfe) },
  "a Struct nested 1,000 deep": { message: nestedClaims(1000) },
  "a Struct with NaN": { message: claims(double(NaN)) },
  "a Struct with Infinity": { message: claims(double(Infinity)) },
  "gzip that ends early": { message: gzipSync(large).subarray(0, 200), encoding: "gzip" },
  "bytes that are not gzip": { message: Buffer.from("plain text"), encoding: "gzip" },
  "brotli that ends early": { message: brotliCompressSync(large).subarray(0, 10), encoding: "br" },
  "bytes that are not brotli": { message: Uint8Array.of(1, 2, 3, 4, 5), encoding: "br" },
  "JSON that ends early": json('{"memberId": "al'),
  "JSON that is not UTF-8": json('{"memberId": "\xff"}', "latin1"),
  "a JSON array": json("[]"),
  "JSON null": json("null"),
  "an unknown JSON field": json('{"memberId": "a", "member": 1}'),
  "a repeated JSON field": json('{"memberId": "a", "memberId": "b"}'),
  "JSON nested 100,000 deep": json(`{"customClaims": {"a": ${"[".repeat(1e5)}`),
  "a number in JSON that no double can hold": json('{"memberId": "a", "customClaims": {"a": 1e400}}'),
};

test.each([
  ["grpc", "session.v1.SessionService/WatchRevocations"],
  ["grpc-web", "session.v1.SessionService/WatchRevocations"],
  ["grpc", "grpc.health.v1.Health/Watch"],
  ["grpc", "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"],
] as const)(
  "over %s, truncated protobuf in the stream %s is an invalid argument",
  async (protocol, stream) => {
    const message = Uint8Array.of(0x0a, 0x7f, 0x41);
    const answer = await rawCall(target, protocol, { method: stream, message });
    expect(answer).toMatchObject({ code: Code.InvalidArgument });
    expect(answer.text).not.toContain("premature");
  },
);

describe.each(protocols)("%s", (protocol) => {
  test.each(Object.entries(invalid))("%s is an invalid argument", async (_, call) => {
    const answer = await rawCall(target, protocol, { method, ...call });
    expect(answer).toMatchObject({ code: Code.InvalidArgument });
    expect(answer.httpStatus).toBeLessThan(500);
    expect(answer.requestId).not.toBe("");
  });

  test.each([
    ["plain", { message: large }],
    ["compressed with gzip", { message: gzipSync(large), encoding: "gzip" }],
    ["a gzip bomb", { message: bomb, encoding: "gzip" }],
    ["a brotli bomb", { message: brotliBomb, encoding: "br" }],
  ])("rejects a message over the limit: %s", async (_, call) => {
    const answer = await rawCall(target, protocol, { method, ...call });
    expect(answer).toMatchObject({ code: Code.ResourceExhausted });
    expect(answer.httpStatus).toBeLessThan(500);
  });

  test("rejects an unknown compression without repeating it", async () => {
    const encoding = "sst_in-the-wrong-place";
    const answer = await rawCall(target, protocol, { method, message: good, encoding });
    expect(answer.code).toBe(Code.Unimplemented);
    expect(answer.text).not.toContain(encoding);
  });

  const timeoutHeader = protocol === "connect" ? "connect-timeout-ms" : "grpc-timeout";
  test("rejects a malformed deadline without repeating it", async () => {
    const headers = { [timeoutHeader]: "sst_in-the-wrong-place" };
    const answer = await rawCall(target, protocol, { method, message: good, headers });
    expect(answer.code).toBe(Code.InvalidArgument);
    expect(answer.text).not.toContain("sst_");
  });

  test("the longest possible deadline does not overflow a timer", async () => {
    const headers = { [timeoutHeader]: protocol === "connect" ? "9999999999" : "99999999H" };
    const answer = await rawCall(target, protocol, { method, message: good, headers });
    expect(answer).toMatchObject({ code: undefined });
  });
});

describe.each(["grpc", "grpc-web"] as const)("%s: no server error for envelopes", (protocol) => {
  test.each([
    ["without a message", Buffer.alloc(0)],
    ["shorter than their head", Buffer.from([0, 0, 0])],
    ["shorter than their declared length", Buffer.from([0, 0, 0, 0, 9, 1])],
    ["that declare 4 GiB", Buffer.from([0, 0xff, 0xff, 0xff, 0xff])],
    ["of two messages", Buffer.concat([envelope(good), envelope(good)])],
    ["that are compressed without an encoding", envelope(good, 1)],
    ["with unknown flags", envelope(good, 0x7e)],
  ])("%s", async (_, message) => {
    const answer = await rawCall(target, protocol, { method, message, framed: true });
    expect([Code.InvalidArgument, Code.Unimplemented, Code.ResourceExhausted, undefined]).toContain(
      answer.code,
    );
    expect(answer.httpStatus).toBeLessThan(500);
  });
});

describe("REST", () => {
  const create = (body: string | Uint8Array, headers: Record<string, string> = {}) =>
    target.send("POST", "/session/v1/sessions", {
      headers: { authorization: target.home.basic, ...headers },
      body,
    });

  test.each<[string, number, string | Uint8Array, Record<string, string>?]>([
    ["over the limit", 413, `{"memberId": "${"a".repeat(limit)}"}`],
    ["a gzip bomb", 413, bomb, { "content-encoding": "gzip" }],
    ["brotli", 415, brotliCompressSync(good), { "content-encoding": "br" }],
    ["not gzip", 400, "{}", { "content-encoding": "gzip" }],
    ["a form", 415, "a=b", { "content-type": "application/x-www-form-urlencoded" }],
    ["multipart", 415, "--a", { "content-type": "multipart/form-data; boundary=a" }],
    ["of two content types", 415, "{}", { "content-type": "text/plain, application/json" }],
    ["a number that no double can hold", 400, '{"memberId": "a", "customClaims": {"a": [-1e999]}}'],
    ["an array", 400, "[]"],
    ["two JSON values", 400, "{}{}"],
    ["UTF-16", 400, Buffer.from('\ufeff{"memberId": "a"}', "utf16le")],
  ])("a body that is %s is %i", async (_, status, body, headers) => {
    expect(await create(body, headers)).toMatchObject({ status });
  });

  test.each(["%", "%zz", "%ff", "%00", "a%2", "%ed%a0%80", "%c0%af"])(
    "rejects the path escape %s",
    async (id) => {
      const answer = await target.send("GET", `/session/v1/sessions/${id}`, {
        headers: { authorization: target.home.basic },
      });
      expect([400, 404]).toContain(answer.status);
    },
  );
});

test("stores nothing of rejected messages", async () => {
  const listed = await target.call("SessionService/List", { memberId: "a" });
  expect(listed.json.sessions ?? []).toEqual([]);
});

function field(number: number, bytes: Uint8Array): Buffer {
  const length: number[] = [];
  let rest = bytes.length;
  for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, rest]), bytes]);
}

/** CreateRequest with one custom claim, from the bytes of a google.protobuf.Value. */
function claims(value: Uint8Array): Buffer {
  const entry = Buffer.concat([field(1, Buffer.from("a")), field(2, value)]);
  return Buffer.concat([field(1, Buffer.from("a")), field(6, field(1, entry))]);
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(9, 0x11);
  bytes.writeDoubleLE(value, 1);
  return bytes;
}

function nestedClaims(depth: number): Buffer {
  let value: Buffer = Buffer.from([0x08, 0]);
  for (let i = 0; i < depth; i++) value = field(6, field(1, value));
  return claims(value);
}
