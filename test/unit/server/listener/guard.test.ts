import { once } from "node:events";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { closeCode, listening, openSession, write } from "./listening.ts";
import type { RequestHandler } from "../../../../src/transport/http-message.ts";

const failures: Record<string, RequestHandler> = {
  "throws at once": () => {
    throw new Error("secret detail");
  },
  "rejects later": async (req) => {
    await text(req);
    throw new Error("secret detail");
  },
};

describe.each(Object.entries(failures))("a handler that %s", (_, handler) => {
  test("is reported, and the HTTP/1.1 client gets an internal error", async () => {
    const reported: unknown[] = [];
    const { url } = await listening({
      handler,
      onError: (error, place) => reported.push([String(error), place]),
    });
    for (let round = 1; round <= 2; round++) {
      const answer = await fetch(url, { method: "POST", body: "x" });
      expect(answer.status).toBe(500);
      expect(await answer.json()).toMatchObject({ code: 13, message: "internal error" });
      expect(reported).toHaveLength(round);
    }
    expect(reported[0]).toEqual(["Error: secret detail", "handler"]);
  });

  test("gives the gRPC client a trailers-only INTERNAL", async () => {
    const { url } = await listening({ handler, onError: () => {} });
    const session = openSession(url);
    const stream = session.request({ ":method": "POST", "content-type": "application/grpc+proto" });
    stream.end("x");
    const [headers] = await once(stream, "response");
    expect(headers).toMatchObject({ ":status": 200, "grpc-status": "13" });
    expect(await text(stream)).toBe("");
  });
});

test("the answer keeps the headers that let a page read it, and no others of the handler", async () => {
  const kept = {
    vary: "origin",
    "access-control-allow-origin": "https://app.example.com",
    "x-request-id": "request-1",
  };
  const { url } = await listening({
    onError: () => {},
    handler(_, res) {
      for (const [name, value] of Object.entries(kept)) res.setHeader(name, value);
      res.setHeader("x-secret", "detail");
      throw new Error("secret detail");
    },
  });
  const answer = await fetch(url);
  expect(answer.status).toBe(500);
  expect(Object.fromEntries(answer.headers)).toMatchObject(kept);
  expect(answer.headers.has("x-secret")).toBe(false);
});

test("aborts the answer of a handler that fails halfway", async () => {
  const { url } = await listening({
    onError: () => {},
    async handler(_, res) {
      await write(res, "half");
      throw new Error("no more");
    },
  });
  const answer = await fetch(url);
  await expect(answer.text()).rejects.toThrow("terminated");

  const session = openSession(url);
  expect(await closeCode(session.request({ ":path": "/" }))).not.toBe(0);
});

test("reports a write after the end of a response, without consequences", async () => {
  const reported = Promise.withResolvers<unknown[]>();
  const { url } = await listening({
    onError: (error, place) => reported.resolve([error, place]),
    handler(_, res) {
      if ("stream" in res) return;
      res.end("done");
      res.write("more");
    },
  });
  expect(await (await fetch(url)).text()).toBe("done");
  expect(await reported.promise).toEqual([
    expect.objectContaining({ code: "ERR_STREAM_WRITE_AFTER_END" }),
    "response",
  ]);
});
