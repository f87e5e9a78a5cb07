import {
  Code,
  ConnectError,
  type HandlerContext,
  createContextKey,
  createContextValues,
} from "@connectrpc/connect";
import { once } from "node:events";
import * as net from "node:net";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ShelfOptions, ShelfServer, echo, versions } from "./shelf-server.ts";

/** Sends raw bytes over HTTP/1.1 and gives the first line of the answer. */
async function rawAsk(server: ShelfServer, text: string): Promise<string> {
  const socket = net.connect(server.h1Port, "127.0.0.1");
  socket.end(text);
  let answer = "";
  for await (const chunk of socket) {
    answer += String(chunk);
  }
  return answer.split("\r\n")[0] ?? "";
}

describe("a Host that is no host does not bring the process down", () => {
  test("over HTTP/1.1", async () => {
    await using server = await ShelfServer.start();
    expect(
      await rawAsk(server, "GET /v1/books/n HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n"),
    ).toContain("200");
    expect(await rawAsk(server, "GET /v1/books/n HTTP/1.0\r\n\r\n")).toContain("200");
    expect(await rawAsk(server, "GET //[ HTTP/1.0\r\n\r\n")).toContain("404");
    expect(await rawAsk(server, "OPTIONS * HTTP/1.0\r\n\r\n")).toContain("404");
  });

  test("over HTTP/2", async () => {
    await using server = await ShelfServer.start();
    expect(
      (await server.ask("GET", "/v1/books/n", { headers: { ":authority": "[" } }, "HTTP/2")).status,
    ).toBe(200);
  });
});

describe.each(versions)("over %s", (version) => {
  const start = async (
    options: ShelfOptions = {},
  ): Promise<{ server: ShelfServer; contexts: HandlerContext[] }> => {
    const contexts: HandlerContext[] = [];
    const server = await ShelfServer.start({
      implementation: {
        ...echo,
        getBook: (book, context) => {
          contexts.push(context);
          return book;
        },
      },
      ...options,
    });
    return { server, contexts };
  };

  test("headers pass both ways, without hop-by-hop ones and the internals of gRPC", async () => {
    await using server = await ShelfServer.start({
      implementation: {
        getBook: (book, { requestHeader, responseHeader, responseTrailer }) => {
          responseHeader.set(
            "x-seen",
            [...requestHeader.keys()].filter((name) => /^x-|^grpc|^te$/.test(name)).join(),
          );
          responseHeader.append("set-cookie", "a=1");
          responseHeader.append("set-cookie", "b=2");
          responseHeader.set("connection", "close");
          responseHeader.set("transfer-encoding", "chunked");
          responseHeader.set("content-type", "text/html");
          responseHeader.set("content-length", "1");
          responseHeader.set("x-host", requestHeader.get("host") ?? "none");
          responseTrailer.set("x-trailer", "t");
          return book;
        },
      },
      before: (_request, response) => response.setHeader("x-request-id", "r1"),
    });
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
    await using server = await ShelfServer.start({
      implementation: {
        getBook: (_book, { responseHeader }) => {
          responseHeader.set("x-a", "1");
          throw new ConnectError("no", Code.NotFound, { "x-b": "2" });
        },
      },
      requestGate: ({ responseHeader }) => responseHeader.set("x-gate", "3"),
      before: (_request, response) => response.setHeader("x-request-id", "r1"),
    });
    const answer = await server.ask("GET", "/v1/books/n", {}, version);
    expect(answer.headers).toMatchObject({ "x-a": "1", "x-b": "2", "x-gate": "3", "x-request-id": "r1" });
  });

  test("headers are the bytes that the handler said, whatever the text of the body", async () => {
    await using server = await ShelfServer.start({
      implementation: {
        getBook: (book, { responseHeader }) => {
          responseHeader.set("x-name", "caf\u00e9");
          return book;
        },
      },
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
    const { server, contexts } = await start({
      contextValues: () => createContextValues().set(key, "value"),
    });
    await using _ = server;
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

  test("the gate rejects before a byte of the body is read, and before anything in it can be wrong", async () => {
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

  test("interceptors see the call as Connect would show it", async () => {
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
    test.each([
      ["grpc-timeout", "20S", 20_000],
      ["grpc-timeout", "1H", 3_600_000],
      ["grpc-timeout", "99999999H", 2 ** 31 - 1],
      ["connect-timeout-ms", "15000", 15_000],
      ["connect-timeout-ms", "9999999999", 2 ** 31 - 1],
      ["x-server-timeout", "12.5", 12_500],
      ["x-server-timeout", ".5", 500],
    ])("%s: %s is %i ms", async (name, value, expected) => {
      let left: number | undefined;
      await using server = await ShelfServer.start({
        implementation: {
          getBook: (book, context) => {
            left = context.timeoutMs();
            return book;
          },
        },
      });
      expect((await server.ask("GET", "/v1/books/n", { headers: { [name]: value } }, version)).status).toBe(
        200,
      );
      expect(left).toBeLessThanOrEqual(expected);
      expect(left).toBeGreaterThan(expected - 400);
    });

    test.each([
      ["grpc-timeout", "20"],
      ["grpc-timeout", "123456789S"],
      ["grpc-timeout", "-1S"],
      ["connect-timeout-ms", "1.5"],
      ["connect-timeout-ms", "99999999999"],
      ["connect-timeout-ms", ""],
      ["x-server-timeout", "soon"],
      ["x-server-timeout", "-1"],
      ["x-server-timeout", "1e9"],
      ["x-server-timeout", "."],
      ["x-server-timeout", "Infinity"],
    ])("%s: %s is 400, not no deadline", async (name, value) => {
      await using server = await ShelfServer.start();
      const answer = await server.ask("GET", "/v1/books/n", { headers: { [name]: value } }, version);
      expect(answer.status).toBe(400);
      expect(answer.text).toContain(name);
    });

    test("a deadline answers 504 even if the handler is deaf to it, and is capped", async () => {
      const signals: AbortSignal[] = [];
      await using server = await ShelfServer.start({
        maxTimeoutMs: 30,
        implementation: {
          getBook: (_book, { signal }) => {
            signals.push(signal);
            return new Promise(() => undefined);
          },
        },
      });
      const answer = await server.ask(
        "GET",
        "/v1/books/n",
        { headers: { "x-server-timeout": "1000000" } },
        version,
      );
      expect([answer.status, signals[0]?.aborted]).toEqual([504, true]);
    });

    test("a deadline that has passed is 504 at once", async () => {
      await using server = await ShelfServer.start();
      const answer = await server.ask(
        "GET",
        "/v1/books/n",
        { headers: { "connect-timeout-ms": "0" } },
        version,
      );
      expect(answer.status).toBe(504);
    });

    test("an AbortError after the deadline is 504, not 500", async () => {
      await using server = await ShelfServer.start({
        implementation: {
          getBook: async (_book, { signal }) => {
            await once(signal, "never", { signal });
            return {};
          },
        },
      });
      const answer = await server.ask(
        "GET",
        "/v1/books/n",
        { headers: { "connect-timeout-ms": "20" } },
        version,
      );
      expect(answer.status).toBe(504);
    });
  });

  test("a success status of 201, and of 204 without a body", async () => {
    await using server = await ShelfServer.start();
    expect((await server.ask("POST", "/v1/books", { body: "{}" }, version)).status).toBe(201);
    const none = await server.ask("DELETE", "/v1/books/n", {}, version);
    expect([none.status, none.text, none.headers["content-length"], none.headers["content-type"]]).toEqual([
      204,
      "",
      undefined,
      undefined,
    ]);
  });

  test("defaults are printed unless the dialect says otherwise", async () => {
    await using server = await ShelfServer.start({ dialect: {} });
    const answer = await server.ask("GET", "/v1/books/n", {}, version);
    expect(JSON.parse(answer.text)).toMatchObject({
      name: "n",
      tags: [],
      pages: 0,
      serial: "0",
      lent: false,
    });
    await using proto = await ShelfServer.start({ dialect: { write: { useProtoFieldName: true } } });
    const named = await proto.ask("GET", "/v1/books/n?publisher.cityName=c", {}, version);
    expect(JSON.parse(named.text)).toEqual({ name: "n", publisher: { city_name: "c" } });
  });
});

describe("whatever the request target, there is an answer (property)", () => {
  const piece = fc.constantFrom(
    "/",
    "v1",
    "books",
    "files",
    "..",
    ".",
    "%",
    "%2F",
    "%zz",
    ":",
    "?",
    "&",
    "=",
    "#",
    "[",
    "*",
  );
  const word = fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  });
  const target = fc.array(fc.oneof(piece, word), { maxLength: 8 }).map((pieces) => `/${pieces.join("")}`);

  test.each(versions)("over %s", async (version) => {
    const told: unknown[] = [];
    await using server = await ShelfServer.start({ onError: (error) => told.push(error) });
    await fc.assert(
      fc.asyncProperty(target, async (target) => {
        const { status } = await server.ask("GET", target, {}, version);
        expect([200, 400, 404, 405]).toContain(status);
      }),
      { numRuns: 150 },
    );
    expect(told).toEqual([]);
  });

  test("raw bytes, too, of which Node lets some through", async () => {
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
  test("a client that goes away aborts the handler and is not answered", async () => {
    const aborted = Promise.withResolvers<unknown>();
    const started = Promise.withResolvers<void>();
    await using server = await ShelfServer.start({
      implementation: {
        getBook: async (_book, { signal }) => {
          started.resolve();
          await once(signal, "abort");
          aborted.resolve(signal.reason);
          return {};
        },
      },
    });
    const socket = net.connect(server.h1Port, "127.0.0.1");
    socket.write("GET /v1/books/n HTTP/1.1\r\nHost: x\r\n\r\n");
    await started.promise;
    socket.destroy();
    expect(await aborted.promise).toMatchObject({ code: Code.Canceled });
  });

  test("a body that is cut off does not become a shorter one", async () => {
    const called: unknown[] = [];
    await using server = await ShelfServer.start({
      implementation: {
        createBook: (book) => {
          called.push(book);
          return book;
        },
      },
    });
    const socket = net.connect(server.h1Port, "127.0.0.1");
    socket.end("POST /v1/books HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{}");
    await once(socket.resume(), "close");
    expect(called).toEqual([]);
  });

  test("a deadline that passes before the body is there is 504, and nothing is called", async () => {
    const called: unknown[] = [];
    await using server = await ShelfServer.start({
      implementation: {
        createBook: (book) => {
          called.push(book);
          return book;
        },
      },
    });
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

  test("a keep-alive connection goes on after a refused body", async () => {
    await using server = await ShelfServer.start({ readMaxBytes: 10 });
    const socket = net.connect(server.h1Port, "127.0.0.1");
    const body = "x".repeat(200_000);
    socket.write(`POST /v1/books HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    socket.end("GET /v1/books/n HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let text = "";
    for await (const chunk of socket) {
      text += String(chunk);
    }
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 413", "HTTP/1.1 200"]);
  });

  test("an answer that was begun by someone else is left alone", async () => {
    await using server = await ShelfServer.start({ before: (_request, response) => response.end("mine") });
    expect((await server.ask("GET", "/v1/books/n")).text).toBe("mine");
    expect((await server.ask("GET", "/v1/nope", {}, "HTTP/2")).text).toBe("mine");
  });

  test("context values that cannot be made are a 500", async () => {
    const told: unknown[] = [];
    await using server = await ShelfServer.start({
      contextValues: () => {
        throw new Error("x");
      },
      onError: (error) => told.push(error),
    });
    expect((await server.ask("GET", "/v1/books/n")).status).toBe(500);
    expect(told).toHaveLength(1);
  });
});
