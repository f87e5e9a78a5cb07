import {
  Code,
  ConnectError,
  type HandlerContext,
  createContextKey,
  createContextValues,
} from "@connectrpc/connect";
import { once } from "node:events";
import * as net from "node:net";
import { text } from "node:stream/consumers";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createTranscoder, transcodedService } from "../../../src/rest/transcoder.ts";
import { type Book, ShelfService } from "./gen/shelf/v1/shelf_pb.ts";
import { type ShelfImpl, type ShelfOptions, ShelfServer, terse, versions } from "./shelf-server.ts";

type GetBook = NonNullable<ShelfImpl["getBook"]>;

/** A server with this implementation of GetBook. */
function serving(getBook: GetBook, options: ShelfOptions = {}): Promise<ShelfServer> {
  return ShelfServer.start({ ...options, implementation: { getBook } });
}

/** Sends raw bytes over HTTP/1.1 and reads until the connection closes. */
async function rawAsk(server: ShelfServer, bytes: string): Promise<string> {
  const socket = net.connect(server.h1Port, "127.0.0.1");
  socket.end(bytes, "latin1");
  return text(socket);
}

test("answers requests with an invalid Host or target", async () => {
  await using server = await ShelfServer.start();
  for (const [head, status] of [
    ["GET /v1/books/n HTTP/1.1\r\nHost: [\r\nConnection: close", 200],
    ["GET /v1/books/n HTTP/1.0", 200],
    ["GET //[ HTTP/1.0", 404],
    ["OPTIONS * HTTP/1.0", 404],
  ] as const) {
    expect(await rawAsk(server, `${head}\r\n\r\n`)).toContain(`HTTP/1.1 ${status} `);
  }
  const overHttp2 = await server.ask("GET", "/v1/books/n", { headers: { ":authority": "[" } }, "HTTP/2");
  expect(overHttp2.status).toBe(200);
});

test.each([
  ["GET", "/v1/books/n", { method: "GetBook" }],
  ["HEAD", "/v1/books/n", { method: "GetBook" }],
  ["GET", "/v1/books/special", { method: "GetSpecial" }],
  ["OPTIONS", "/v1/any", { method: "AnyMethod" }],
  ["OPTIONS", "/v1/books/n", { allow: ["DELETE", "GET", "HEAD", "PATCH"], dialect: terse }],
  ["PATCH", "/v1/books/n:revoke", { allow: ["POST"], dialect: terse }],
  ["GET", "/v1/nothing", { allow: [], dialect: terse }],
  ["GET", "/nothing", { allow: [], dialect: undefined }],
])("finds what %s %s would be answered with", (httpMethod, path, expected) => {
  const services = [transcodedService(ShelfService, {}, { ...terse, prefixes: ["/v1"] })];
  const { method, ...rest } = createTranscoder({ services }).find(httpMethod, path);
  expect({ ...rest, method: method?.name }).toMatchObject(expected);
});

describe.each(versions)("over %s", (version) => {
  const before: ShelfOptions["before"] = (_request, response) => response.setHeader("x-request-id", "r1");

  test("headers pass both ways, without hop-by-hop ones and the internals of gRPC", async () => {
    const getBook = (book: Book, { requestHeader, responseHeader, responseTrailer }: HandlerContext) => {
      const seen = [...requestHeader.keys()].filter((name) => /^x-|^grpc|^te$/.test(name));
      responseHeader.set("x-seen", seen.join());
      responseHeader.append("set-cookie", "a=1");
      responseHeader.append("set-cookie", "b=2");
      responseHeader.set("connection", "close");
      responseHeader.set("transfer-encoding", "chunked");
      responseHeader.set("content-type", "text/html");
      responseHeader.set("content-length", "1");
      responseHeader.set("x-host", requestHeader.get("host") ?? "none");
      responseTrailer.set("x-trailer", "t");
      return book;
    };
    await using server = await serving(getBook, { before });
    const headers = { "x-mine": "1", te: "trailers", "grpc-encoding": "gzip" };
    const answer = await server.ask("GET", "/v1/books/n", { headers }, version);
    expect(answer.text).toBe(`{"name":"n"}`);
    expect(answer.headers).toMatchObject({
      "x-seen": "x-mine",
      "set-cookie": ["a=1", "b=2"],
      "content-type": "application/json",
      "content-length": "12",
      "x-trailer": "t",
      "x-request-id": "r1",
    });
    expect(answer.headers["x-host"]).toMatch(/^(localhost|127\.0\.0\.1):\d+$/);
  });

  test("headers set before an error go out with it", async () => {
    const getBook = (_book: Book, { responseHeader }: HandlerContext) => {
      responseHeader.set("x-a", "1");
      throw new ConnectError("no", Code.NotFound, { "x-b": "2" });
    };
    const requestGate: ShelfOptions["requestGate"] = ({ responseHeader }) =>
      responseHeader.set("x-gate", "3");
    await using server = await serving(getBook, { requestGate, before });
    const answer = await server.ask("GET", "/v1/books/n", {}, version);
    expect(answer.headers).toMatchObject({ "x-a": "1", "x-b": "2", "x-gate": "3", "x-request-id": "r1" });
  });

  test("header values are sent as Latin-1, with ASCII and other bodies", async () => {
    await using server = await serving((book, { responseHeader }) => {
      responseHeader.set("x-name", "caf\u00e9");
      return book;
    });
    for (const [path, name] of [
      ["/v1/books/plain", "plain"],
      ["/v1/books/%C3%A9%F0%9F%92%A9", "\u00e9\u{1f4a9}"],
    ] as const) {
      const answer = await server.ask("GET", path, {}, version);
      expect([answer.headers["x-name"], JSON.parse(answer.text)]).toEqual(["caf\u00e9", { name }]);
      expect(answer.headers["content-length"]).toBe(String(answer.bytes.length));
    }
  });

  test("the context is that of an RPC", async () => {
    const key = createContextKey("none");
    const contexts: HandlerContext[] = [];
    const getBook = (book: Book, context: HandlerContext) => {
      contexts.push(context);
      return book;
    };
    const contextValues = () => createContextValues().set(key, "value");
    await using server = await serving(getBook, { contextValues });
    await server.ask("GET", "/v1/books/n?pages=1", {}, version);
    const [context] = contexts;
    expect(context?.method.name).toBe("GetBook");
    expect(context?.service.typeName).toBe("shelf.v1.ShelfService");
    expect(context?.values.get(key)).toBe("value");
    expect(context?.requestMethod).toBe("GET");
    expect(context?.protocolName).toBe("rest");
    expect(new URL(context?.url ?? "").pathname).toBe("/v1/books/n");
    expect(context?.timeoutMs()).toBeUndefined();
    expect(context?.signal.aborted).toBe(true);
  });

  test("the gate rejects before the body, path and query are read", async () => {
    const gate = (): never => {
      throw new ConnectError("who", Code.Unauthenticated);
    };
    await using server = await ShelfServer.start({ requestGate: gate, readMaxBytes: 10 });
    const statusOf = async (method: string, path: string, ask = {}): Promise<number> =>
      (await server.ask(method, path, ask, version)).status;
    expect(await statusOf("POST", "/v1/books", { body: "{" })).toBe(401);
    expect(await statusOf("POST", "/v1/books", { body: "x".repeat(1_000_000) })).toBe(401);
    expect(await statusOf("GET", "/v1/books/%")).toBe(401);
    expect(await statusOf("GET", "/v1/books?nope=1")).toBe(401);
    expect(await statusOf("GET", "/v1/nope")).toBe(404);
    expect(await statusOf("PUT", "/v1/books")).toBe(405);
    expect(await statusOf("POST", "/v1/books", { body: "{}", headers: { "content-type": "a/b" } })).toBe(415);
  });

  test("interceptors see the call as in Connect", async () => {
    const seen: unknown[] = [];
    await using server = await ShelfServer.start({
      interceptors: [
        (next) => async (request) => {
          seen.push(request.stream, request.method.name, request.message);
          request.header.set("x-added", "1");
          const answer = await next(request);
          answer.header.set("x-answer", "1");
          return answer;
        },
      ],
    });
    const answer = await server.ask("GET", "/v1/books/n", {}, version);
    expect(seen).toMatchObject([false, "GetBook", { name: "n" }]);
    expect(answer.headers["x-answer"]).toBe("1");
  });

  describe("deadlines", () => {
    /** Status of a call that waits, with this deadline. */
    const statusAfter = async (getBook: GetBook, header: string, value: string, more = {}) => {
      await using server = await serving(getBook, more);
      return (await server.ask("GET", "/v1/books/n", { headers: { [header]: value } }, version)).status;
    };

    test.each([
      ["grpc-timeout", "20S", 20_000],
      ["connect-timeout-ms", "15000", 15_000],
      ["x-server-timeout", "12.5", 12_500],
    ])("%s reaches the handler", async (name, value, expected) => {
      let left = 0;
      const getBook = (book: Book, context: HandlerContext) => {
        left = context.timeoutMs() ?? 0;
        return book;
      };
      expect(await statusAfter(getBook, name, value)).toBe(200);
      expect(left).toBeLessThanOrEqual(expected);
      expect(left).toBeGreaterThan(expected - 400);
    });

    test("a malformed deadline is 400 and names the header", async () => {
      await using server = await ShelfServer.start();
      const answer = await server.ask("GET", "/v1/books/n", { headers: { "grpc-timeout": "20" } }, version);
      expect([answer.status, answer.text]).toEqual([400, expect.stringContaining("grpc-timeout")]);
    });

    test("a deadline is capped, and answers 504 even if the handler ignores it", async () => {
      const signals: AbortSignal[] = [];
      const getBook = (_book: Book, { signal }: HandlerContext) => {
        signals.push(signal);
        return new Promise<Book>(() => undefined);
      };
      expect(await statusAfter(getBook, "x-server-timeout", "1000000", { maxTimeoutMs: 30 })).toBe(504);
      expect(signals[0]?.aborted).toBe(true);
    });

    test("an AbortError after the deadline is 504, not 500", async () => {
      const getBook = async (book: Book, { signal }: HandlerContext) => {
        await once(signal, "never", { signal });
        return book;
      };
      expect(await statusAfter(getBook, "connect-timeout-ms", "20")).toBe(504);
    });
  });

  test("a success status of 201, and of 204 without a body", async () => {
    await using server = await ShelfServer.start();
    expect((await server.ask("POST", "/v1/books", { body: "{}" }, version)).status).toBe(201);
    const none = await server.ask("DELETE", "/v1/books/n", {}, version);
    const { "content-length": length, "content-type": type } = none.headers;
    expect([none.status, none.text, length, type]).toEqual([204, "", undefined, undefined]);
  });

  test("defaults are printed unless the dialect says otherwise", async () => {
    await using server = await ShelfServer.start({ dialect: {} });
    const answer = await server.ask("GET", "/v1/books/n", {}, version);
    const expected = { name: "n", tags: [], pages: 0, serial: "0", lent: false };
    expect(JSON.parse(answer.text)).toMatchObject(expected);
    await using proto = await ShelfServer.start({ dialect: { write: { useProtoFieldName: true } } });
    const named = await proto.ask("GET", "/v1/books/n?publisher.cityName=c", {}, version);
    expect(JSON.parse(named.text)).toEqual({ name: "n", publisher: { city_name: "c" } });
  });
});

describe("answers every request target (property)", () => {
  const piece = fc.constantFrom(..."/ v1 books files .. . % %2F %zz : ? & = # [ *".split(" "));
  const word = fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  });
  const target = fc.array(fc.oneof(piece, word), { maxLength: 8 }).map((pieces) => `/${pieces.join("")}`);

  test.each(versions)("over %s", async (version) => {
    const reported: unknown[] = [];
    await using server = await ShelfServer.start({ onError: (error) => reported.push(error) });
    await fc.assert(
      fc.asyncProperty(target, async (target) => {
        const { status } = await server.ask("GET", target, {}, version);
        expect([200, 400, 404, 405]).toContain(status);
      }),
      { numRuns: 150 },
    );
    expect(reported).toEqual([]);
  });

  test("of raw bytes", async () => {
    await using server = await ShelfServer.start();
    const bytes = fc
      .uint8Array({ minLength: 1, maxLength: 20 })
      .map((bytes) => Buffer.from(bytes).toString("latin1"));
    await fc.assert(
      fc.asyncProperty(bytes, async (bytes) => {
        await rawAsk(server, `GET /v1/books/${bytes} HTTP/1.0\r\n\r\n`);
        expect((await server.ask("GET", "/v1/books/n")).status).toBe(200);
      }),
      { numRuns: 30 },
    );
  });
});

describe("connections", () => {
  test("a disconnect of the client aborts the handler", async () => {
    const aborted = Promise.withResolvers<unknown>();
    const started = Promise.withResolvers<void>();
    await using server = await serving(async (_book, { signal }) => {
      started.resolve();
      await once(signal, "abort");
      aborted.resolve(signal.reason);
      return {};
    });
    const socket = net.connect(server.h1Port, "127.0.0.1");
    socket.write("GET /v1/books/n HTTP/1.1\r\nHost: x\r\n\r\n");
    await started.promise;
    socket.destroy();
    expect(await aborted.promise).toMatchObject({ code: Code.Canceled });
  });

  const called: unknown[] = [];
  const createBook = (book: Book) => {
    called.push(book);
    return book;
  };

  test("does not call the handler with a truncated body", async () => {
    await using server = await ShelfServer.start({ implementation: { createBook } });
    const socket = net.connect(server.h1Port, "127.0.0.1");
    socket.end("POST /v1/books HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{}");
    await once(socket.resume(), "close");
    expect(called).toEqual([]);
  });

  test("a deadline that passes before the body has arrived is 504 without a call of the handler", async () => {
    await using server = await ShelfServer.start({ implementation: { createBook } });
    const socket = net.connect(server.h1Port, "127.0.0.1");
    socket.write(
      "POST /v1/books HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnect-Timeout-Ms: 30\r\n\r\n{",
    );
    const [head] = await once(socket, "data");
    expect(String(head)).toMatch(/^HTTP\/1\.1 504 /);
    socket.end("}");
    await once(socket.resume(), "close");
    expect(called).toEqual([]);
  });

  test("a keep-alive connection serves further requests after a refused body", async () => {
    await using server = await ShelfServer.start({ readMaxBytes: 10 });
    const body = "x".repeat(200_000);
    const refused = `POST /v1/books HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const next = "GET /v1/books/n HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const answers = await rawAsk(server, refused + next);
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 413", "HTTP/1.1 200"]);
  });

  test("does not touch an answer that another handler has begun", async () => {
    await using server = await ShelfServer.start({ before: (_request, response) => response.end("mine") });
    expect((await server.ask("GET", "/v1/books/n")).text).toBe("mine");
    expect((await server.ask("GET", "/v1/nope", {}, "HTTP/2")).text).toBe("mine");
  });

  test("an error of contextValues is a 500", async () => {
    const reported: unknown[] = [];
    await using server = await ShelfServer.start({
      contextValues: () => {
        throw new Error("x");
      },
      onError: (error) => reported.push(error),
    });
    expect((await server.ask("GET", "/v1/books/n")).status).toBe(500);
    expect(reported).toHaveLength(1);
  });
});
