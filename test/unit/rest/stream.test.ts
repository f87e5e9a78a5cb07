import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import * as http from "node:http";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { type ShelfImpl, ShelfServer, type Version, versions } from "./shelf-server.ts";

const books = (...names: string[]): ShelfImpl => ({
  async *watchBooks() {
    for (const name of names) {
      if (name.startsWith("!")) {
        throw name === "!" ? new Error("s3cret") : new ConnectError(name.slice(1), Code.NotFound);
      }
      yield { name };
    }
  },
});

const ask = async (implementation: ShelfImpl, accept?: string): ReturnType<ShelfServer["ask"]> => {
  await using server = await ShelfServer.start({ implementation });
  return await server.ask("GET", "/v1/watch/n", accept === undefined ? {} : { headers: { accept } });
};

/** Starts a stream, and disconnects after this event of its body. */
async function disconnectAfter(server: ShelfServer, version: Version, event: "data" | "readable") {
  if (version === "HTTP/1.1") {
    const request = http.get({ port: server.h1Port, path: "/v1/watch/n", agent: false });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    await once(response, event);
    request.destroy();
  } else {
    const stream = server.h2Client.request({ ":path": "/v1/watch/n" });
    await once(stream, event);
    stream.close(8);
  }
}

describe.each(versions)("a server stream over %s", (version) => {
  test("is lines of JSON", async () => {
    await using server = await ShelfServer.start({ implementation: books("a", "b") });
    const answer = await server.ask("GET", "/v1/watch/n", {}, version);
    expect(answer.headers["content-type"]).toBe("application/x-ndjson");
    expect(answer.text).toBe(`{"name":"a"}\n{"name":"b"}\n`);
  });

  test("a disconnect aborts the handler", async () => {
    const aborted = Promise.withResolvers<unknown>();
    await using server = await ShelfServer.start({
      implementation: {
        async *watchBooks(_request, { signal }: HandlerContext) {
          yield { name: "a" };
          await once(signal, "abort");
          aborted.resolve(signal.reason);
        },
      },
    });
    await disconnectAfter(server, version, "data");
    expect(await aborted.promise).toMatchObject({ code: Code.Canceled });
  });

  test("a slow reader holds the handler back", async () => {
    let made = 0;
    const large = "x".repeat(64 * 1024);
    const stopped = Promise.withResolvers<void>();
    await using server = await ShelfServer.start({
      implementation: {
        async *watchBooks() {
          try {
            for (; made < 2000; made++) yield { name: large };
          } finally {
            stopped.resolve();
          }
        },
      },
    });
    await disconnectAfter(server, version, "readable");
    await stopped.promise;
    expect(made).toBeLessThan(2000);
  });
});

describe("the form of a stream", () => {
  test.each([
    ["text/event-stream", "text/event-stream"],
    ["text/event-stream, */*", "text/event-stream"],
    ["application/json, text/event-stream;q=0.9", "text/event-stream"],
    ["application/x-ndjson, text/event-stream;q=0.9", "application/x-ndjson"],
    ["text/event-stream, application/x-ndjson", "text/event-stream"],
    ["text/event-stream;q=0", "application/x-ndjson"],
    ["*/*", "application/x-ndjson"],
    ["application/json", "application/x-ndjson"],
  ])("Accept: %s is answered with %s", async (accept, type) => {
    expect((await ask(books("a"), accept)).headers["content-type"]).toBe(type);
  });

  test("server-sent events", async () => {
    expect((await ask(books("a", "b"), "text/event-stream")).text).toBe(
      `data: {"name":"a"}\n\ndata: {"name":"b"}\n\n`,
    );
  });

  test("no messages at all", async () => {
    const answer = await ask(books());
    expect([answer.status, answer.text]).toEqual([200, ""]);
  });
});

describe("a stream that fails", () => {
  test("before the first message has a status of its own", async () => {
    const answer = await ask(books("!gone"));
    expect([answer.status, JSON.parse(answer.text).message]).toEqual([404, "gone"]);
    expect((await ask(books("!"))).status).toBe(500);
  });

  test("later ends with a line or event that holds the error", async () => {
    expect((await ask(books("a", "!gone"))).text).toBe(
      `{"name":"a"}\n{"error":{"code":5,"message":"gone","details":[]}}\n`,
    );
    expect((await ask(books("a", "!"), "text/event-stream")).text).toBe(
      `data: {"name":"a"}\n\nevent: error\ndata: {"code":13,"message":"internal error","details":[]}\n\n`,
    );
  });

  test("when the deadline passes between messages", async () => {
    await using server = await ShelfServer.start({
      implementation: {
        async *watchBooks(_request, context) {
          yield { name: "a" };
          // Ignores the signal.
          await new Promise(() => undefined);
          yield { name: context.protocolName };
        },
      },
    });
    const answer = await server.ask("GET", "/v1/watch/n", { headers: { "connect-timeout-ms": "50" } });
    expect(answer.text).toContain(`{"error":{"code":4,`);
  });

  test("at shutdown", async () => {
    const shutdown = new AbortController();
    await using server = await ShelfServer.start({
      shutdownSignal: shutdown.signal,
      implementation: {
        async *watchBooks(_request, { signal }) {
          yield { name: "a" };
          setImmediate(() => shutdown.abort(new ConnectError("shutting down", Code.Unavailable)));
          await once(signal, "abort");
        },
      },
    });
    expect((await server.ask("GET", "/v1/watch/n")).text).toContain(
      `{"error":{"code":14,"message":"shutting down"`,
    );
  });
});

test("a stream of HttpBody is its bytes, and is cut off when it fails", async () => {
  const download = (fails: boolean): ShelfImpl => ({
    async *download() {
      yield { contentType: "text/csv", data: Buffer.from("a,") };
      yield { data: Buffer.from("b") };
      if (fails) throw new Error("x");
    },
  });
  await using whole = await ShelfServer.start({ implementation: download(false) });
  const answer = await whole.ask("GET", "/v1/download/n");
  expect([answer.headers["content-type"], answer.text]).toEqual(["text/csv", "a,b"]);
  await using broken = await ShelfServer.start({ implementation: download(true) });
  for (const version of versions) {
    await expect(broken.ask("GET", "/v1/download/n", {}, version)).rejects.toThrow(
      /aborted|hang up|closed with error/,
    );
  }
});
