import { create, createRegistry } from "@bufbuild/protobuf";
import { AnySchema, DurationSchema, anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createContextKey, createContextValues } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { HttpRuleSchema } from "../../../gen/google/api/http_pb.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.ts";
import type { Dialect, ErrorAnswer, FailedRequest } from "../../../src/rest/dialect.ts";
import type { Failure } from "../../../src/rest/errors/failure.ts";
import { transcodedService } from "../../../src/rest/transcoder.ts";
import { BareService, PublisherSchema } from "./gen/shelf/v1/shelf_pb.ts";
import { type Answer, type ShelfOptions, ShelfServer, versions } from "./shelf-server.ts";

/** What GET /v1/books/n answers when the implementation throws `thrown`. */
async function answerTo(thrown: unknown, options: ShelfOptions = {}): Promise<Answer> {
  const implementation = { getBook: () => fail(thrown) };
  await using server = await ShelfServer.start({ ...options, implementation });
  return await server.ask("GET", "/v1/books/n");
}

function fail(thrown: unknown): never {
  throw thrown;
}

describe("the default dialect", () => {
  test.each([
    ["Canceled", 499],
    ["Unknown", 500],
    ["InvalidArgument", 400],
    ["DeadlineExceeded", 504],
    ["NotFound", 404],
    ["AlreadyExists", 409],
    ["PermissionDenied", 403],
    ["ResourceExhausted", 429],
    ["FailedPrecondition", 400],
    ["Aborted", 409],
    ["OutOfRange", 400],
    ["Unimplemented", 501],
    ["Internal", 500],
    ["Unavailable", 503],
    ["DataLoss", 500],
    ["Unauthenticated", 401],
  ] as const)("%s is status %i", async (name, status) => {
    const code = Code[name];
    const answer = await answerTo(new ConnectError("why", code));
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toEqual({ code, message: "why", details: [] });
    expect(answer.headers["content-type"]).toBe("application/json");
    expect(answer.headers["content-length"]).toBe(String(Buffer.byteLength(answer.text)));
  });

  test("details are typed JSON", async () => {
    const value = { reason: "GONE", domain: "shelf.example" };
    const answer = await answerTo(
      new ConnectError("why", Code.NotFound, {}, [
        { desc: ErrorInfoSchema, value },
        { desc: DurationSchema, value: { seconds: 3n } },
      ]),
    );
    expect(JSON.parse(answer.text)).toEqual({
      code: 5,
      message: "why",
      details: [
        { "@type": "type.googleapis.com/google.rpc.ErrorInfo", ...value },
        { "@type": "type.googleapis.com/google.protobuf.Duration", value: "3s" },
      ],
    });
  });

  test("a detail of an unknown type does not turn the error into a 500", async () => {
    const error = new ConnectError("why", Code.NotFound);
    const packed = anyPack(PublisherSchema, create(PublisherSchema, { name: "p" }));
    const bytes = packed.value;
    error.details.push(
      { type: "shelf.v1.Publisher", value: bytes },
      { type: "no.Such", value: Uint8Array.of(1) },
      { desc: StatusSchema, value: { details: [packed] } },
      { desc: AnySchema, value: packed },
    );
    const plain = await answerTo(error);
    expect(plain.status).toBe(404);
    expect(JSON.parse(plain.text).details).toMatchObject([
      { "@type": "type.googleapis.com/shelf.v1.Publisher", value: Buffer.from(bytes).toString("base64") },
      { "@type": "type.googleapis.com/no.Such", value: "AQ==" },
      { "@type": "type.googleapis.com/google.rpc.Status" },
      { "@type": "type.googleapis.com/google.protobuf.Any" },
    ]);
    const known = await answerTo(error, { registry: createRegistry(PublisherSchema) });
    const publisher = { "@type": "type.googleapis.com/shelf.v1.Publisher", name: "p" };
    expect(JSON.parse(known.text).details[0]).toEqual(publisher);
  });

  test.each([new Error("s3cret"), "s3cret", { code: "s3cret" }, undefined, null])(
    "a plain exception (%s) is a 500 without its text, and is reported to onError",
    async (thrown) => {
      const reported: unknown[] = [];
      const answer = await answerTo(thrown, {
        onError: (error, request) => reported.push(error, request.method?.name),
      });
      expect(answer.status).toBe(500);
      expect(JSON.parse(answer.text)).toEqual({ code: 13, message: "internal error", details: [] });
      expect(reported).toEqual([thrown, "GetBook"]);
    },
  );

  const any = { typeUrl: "type.googleapis.com/no.Such", value: Uint8Array.of(1) };
  test.each<[name: string, status: number, options: ShelfOptions]>([
    ["an answer that cannot be written", 500, { implementation: { getBook: () => ({ any }) } }],
    ["a method without an implementation", 501, { implementation: {} }],
    [
      "an onError that throws",
      500,
      { implementation: { getBook: () => fail(new Error("x")) }, onError: () => fail(new Error("y")) },
    ],
  ])("%s is a %i", async (_name, status, options) => {
    await using server = await ShelfServer.start(options);
    expect((await server.ask("GET", "/v1/books/n")).status).toBe(status);
  });

  test("RetryInfo becomes Retry-After, in whole seconds, rounded up", async () => {
    const retry = (seconds: bigint, nanos: number, headers = {}): ConnectError =>
      new ConnectError("slow", Code.ResourceExhausted, headers, [
        { desc: RetryInfoSchema, value: { retryDelay: { seconds, nanos } } },
      ]);
    expect((await answerTo(retry(7n, 0))).headers["retry-after"]).toBe("7");
    expect((await answerTo(retry(7n, 1))).headers["retry-after"]).toBe("8");
    expect((await answerTo(retry(7n, 0, { "retry-after": "9" }))).headers["retry-after"]).toBe("9");
  });

  test("401 carries WWW-Authenticate, the error's own if it has one", async () => {
    const challengeOf = async (metadata = {}, options = {}) => {
      const error = new ConnectError("who", Code.Unauthenticated, metadata);
      return (await answerTo(error, options)).headers["www-authenticate"];
    };
    expect(await challengeOf()).toBe("Bearer");
    expect(await challengeOf({ "www-authenticate": `Basic realm="x"` })).toBe(`Basic realm="x"`);
    expect(await challengeOf({}, { dialect: { challenge: "Basic" } })).toBe("Basic");
  });

  test("metadata of an error becomes headers, unless it came from another server or belongs to the framing", async () => {
    const metadata = { "x-mine": "1", "content-length": "3", "grpc-status": "5", connection: "close" };
    const mine = await answerTo(new ConnectError("x", Code.NotFound, metadata));
    expect(mine.headers["x-mine"]).toBe("1");
    expect(mine.headers["grpc-status"]).toBeUndefined();
    expect(JSON.parse(mine.text).message).toBe("x");
    const wire = new ConnectError("x", Code.NotFound, metadata);
    wire.isWireError = true;
    expect((await answerTo(wire)).headers["x-mine"]).toBeUndefined();
  });
});

describe.each(versions)("unmatched requests over %s", (version) => {
  test("405 names the methods, HEAD among them where GET is", async () => {
    await using server = await ShelfServer.start();
    for (const method of ["POST", "OPTIONS", "TRACE"]) {
      const answer = await server.ask(method, "/v1/books/n", {}, version);
      expect([answer.status, answer.headers["allow"]]).toEqual([405, "DELETE, GET, HEAD, PATCH"]);
    }
    const [get, head] = await Promise.all(
      ["GET", "HEAD"].map((method) => server.ask(method, "/v1/books/n", {}, version)),
    );
    expect([head?.status, head?.text, head?.headers["content-type"]]).toEqual([
      get?.status,
      "",
      get?.headers["content-type"],
    ]);
    expect((await server.ask("GET", "/v1/nope", {}, version)).status).toBe(404);
    expect((await server.ask("HEAD", "/v1/nope", {}, version)).text).toBe("");
    expect((await server.ask("PUT", "/v1/any", {}, version)).status).toBe(200);
    expect((await server.ask("PROPFIND", "/v1/custom", {}, version)).status).toBe(200);
    expect((await server.ask("GET", "/v1/custom", {}, version)).headers["allow"]).toBe("PROPFIND");
  });
});

const requestId = createContextKey("none");

/** A dialect with an envelope and a request id. */
function envelope(seen: [Failure, FailedRequest][] = []): Dialect {
  return {
    prefixes: ["/v1"],
    writeError: (failure, request): ErrorAnswer => {
      seen.push([failure, request]);
      const { kind, status } = failure;
      const error = { kind, status, request: request.contextValues.get(requestId) };
      return { status, headers: { "x-dialect": "envelope" }, body: { json: { error } } };
    },
  };
}

describe("a dialect of its own", () => {
  const contextValues: ShelfOptions["contextValues"] = () => createContextValues().set(requestId, "r1");

  test("writes every kind of failure", async () => {
    const seen: [Failure, FailedRequest][] = [];
    await using server = await ShelfServer.start({
      dialect: envelope(seen),
      contextValues,
      readMaxBytes: 10,
      implementation: {},
    });
    const json = { headers: { "content-type": "application/json" } };
    const soon = { headers: { "x-server-timeout": "soon" } };
    const asks: [kind: string, method: string, path: string, ask?: object, fault?: unknown[]][] = [
      ["path_not_found", "GET", "/v1/nope"],
      ["method_not_allowed", "PUT", "/v1/books"],
      ["unsupported_media_type", "POST", "/v1/books", { body: "{}", headers: { "content-type": "a/b" } }],
      ["body_too_large", "POST", "/v1/books", { ...json, body: "{          }" }],
      ["bad_request", "POST", "/v1/books", { ...json, body: "{" }, ["body", undefined]],
      ["bad_request", "GET", "/v1/books?x=1", {}, ["query", "x"]],
      ["bad_request", "GET", "/v1/books/%", {}, ["path", "name"]],
      ["bad_request", "GET", "/v1/books", soon, ["header", "x-server-timeout"]],
      ["handler", "GET", "/v1/books"],
    ];
    for (const [kind, method, path, ask, fault = []] of asks) {
      const answer = await server.ask(method, path, ask);
      expect(JSON.parse(answer.text)).toEqual({ error: { kind, status: answer.status, request: "r1" } });
      expect(answer.headers["x-dialect"]).toBe("envelope");
      const failure = seen.at(-1)?.[0];
      expect(failure?.kind === "bad_request" ? [failure.place, failure.field] : []).toEqual(fault);
    }
    expect(seen.map(([, request]) => [request.method?.name, request.httpMethod])).toContainEqual([
      "CreateBook",
      "POST",
    ]);
    expect(seen[0]?.[1]).toMatchObject({ method: undefined, path: "/v1/nope" });
    const allow = ["DELETE", "GET", "HEAD", "POST"];
    expect(seen[1]?.[0]).toMatchObject({ kind: "method_not_allowed", allow });
  });

  test("answers for the paths under its prefix only, by whole segments", async () => {
    await using server = await ShelfServer.start({ dialect: envelope(), contextValues });
    for (const [path, isOurs] of [
      ["/v1", true],
      ["/v1/x", true],
      ["/v10", false],
      ["/", false],
      ["/v2/v1", false],
    ] as const) {
      const answer = await server.ask("GET", path);
      expect([path, answer.status, answer.headers["x-dialect"] === "envelope"]).toEqual([path, 404, isOurs]);
    }
  });

  test("may answer with text, without a body, and with another status", async () => {
    const writeError = (failure: Failure): ErrorAnswer =>
      failure.kind === "path_not_found"
        ? { status: 204 }
        : { status: 418, headers: { "content-type": "text/html" }, body: { text: "<p>no" } };
    await using server = await ShelfServer.start({ dialect: { prefixes: ["/"], writeError } });
    const none = await server.ask("GET", "/nope");
    expect([none.status, none.text, none.headers["content-length"]]).toEqual([204, "", undefined]);
    const text = await server.ask("PUT", "/v1/books");
    expect([text.status, text.text]).toEqual([418, "<p>no"]);
    expect(text.headers).toMatchObject({ "content-type": "text/html", allow: "DELETE, GET, HEAD, POST" });
  });

  test.each<[string, () => ErrorAnswer]>([
    ["throws", () => fail(new Error("s3cret"))],
    ["gives an invalid status", () => ({ status: 42 })],
    ["gives a header that cannot be sent", () => ({ status: 400, headers: { "x-y": "a\u0001b" } })],
    ["gives an invalid header name", () => ({ status: 400, headers: { "x y": "" } })],
  ])("a writer that %s makes a plain 500 in the default shape", async (_name, writeError) => {
    const reported: unknown[] = [];
    for (const version of versions) {
      await using server = await ShelfServer.start({
        dialect: { prefixes: ["/v1"], writeError },
        onError: (error) => reported.push(error),
      });
      const answer = await server.ask("GET", "/v1/nope", {}, version);
      expect(answer.status).toBe(500);
      expect(JSON.parse(answer.text)).toEqual({ code: 13, message: "internal error", details: [] });
    }
    expect(reported).toHaveLength(2);
  });

  test("two services speak two dialects on one transcoder", async () => {
    const rule = create(HttpRuleSchema, {
      selector: "shelf.v1.BareService.Unary",
      pattern: { case: "get", value: "/v2/bare" },
    });
    const teapot: Dialect = { prefixes: ["/v2"], writeError: () => ({ status: 418 }) };
    await using server = await ShelfServer.start({
      dialect: envelope(),
      more: [transcodedService(BareService, {}, teapot)],
      rules: [rule],
      implementation: {},
    });
    const statuses = ["/v1/books", "/v1/nope", "/v2/bare", "/v2/nope", "/nope"].map(
      async (path) => (await server.ask("GET", path)).status,
    );
    expect(await Promise.all(statuses)).toEqual([501, 404, 418, 418, 404]);
    expect((await server.ask("PUT", "/v2/bare")).status).toBe(418);
  });
});
