import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { createListener } from "../../../../src/server/listener/listener.ts";
import { listening, openSession, write } from "./listening.ts";
import { get, getFrame, http2Bytes, openRaw, ping } from "./raw-connection.ts";
import { frameTypes } from "../../../support/fixtures/http2-bytes.ts";
import { type HttpResponse, endResponse } from "../../../../src/transport/http-message.ts";

/** Never reached in a test that passes. */
const longGrace = 60_000;

/** A server whose requests the test answers, in the order of their arrival. */
async function answeringByHand() {
  const arrivals: HttpResponse[] = [];
  let wake = () => {};
  const server = await listening({
    handler(_, res) {
      arrivals.push(res);
      wake();
    },
  });
  return {
    ...server,
    async arrived(): Promise<HttpResponse> {
      for (;;) {
        const res = arrivals.shift();
        if (res !== undefined) return res;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

async function connectedSession(url: string) {
  const session = openSession(url);
  await once(session, "remoteSettings");
  return session;
}

function closed(emitter: { once(event: "close", listener: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => {
    emitter.once("close", resolve);
  });
}

test("closes idle connections of every kind at once", async () => {
  const server = await answeringByHand();
  const silent = await openRaw(server.port);
  const http1 = await openRaw(server.port, get);
  endResponse(await server.arrived(), "before");
  await http1.received(/before/);
  const http2 = await openRaw(server.port, http2Bytes(ping));
  await http2.received(/pingpong/);

  await server.drain(longGrace);
  expect(await silent.closed).toBe("");
  expect(await http1.closed).toMatch(/before$/);
  expect(frameTypes(await http2.closed)).toContain("GOAWAY");
});

test("refuses new connections", async () => {
  const server = await answeringByHand();
  await server.drain(longGrace);
  await expect(openRaw(server.port)).rejects.toThrow("ECONNREFUSED");
});

test("lets an HTTP/1.1 request finish, announces the end of the connection, and closes it", async () => {
  const server = await answeringByHand();
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const req = request({ port: server.port, host: "127.0.0.1", agent }).end();
  const res = await server.arrived();
  const drained = server.drain(longGrace);
  endResponse(res, "finished");
  const [answer]: [IncomingMessage] = (await once(req, "response")) as [IncomingMessage];
  expect(answer.headers.connection).toBe("close");
  expect(await text(answer)).toBe("finished");
  await drained;
});

test("lets an HTTP/1.1 answer finish after its headers were sent, and closes the connection", async () => {
  const server = await answeringByHand();
  const raw = await openRaw(server.port, get);
  const res = await server.arrived();
  await write(res, "first ");
  await raw.received(/first/);
  const drained = server.drain(longGrace);
  endResponse(res, "last");
  expect(await raw.closed).toMatch(/first [^]*last[^]*0\r\n\r\n$/);
  await drained;
});

test("delivers a large answer completely to a slow reader", async () => {
  const size = 20_000_000;
  const server = await answeringByHand();
  const raw = await openRaw(server.port);
  raw.socket.pause();
  raw.write(get);
  endResponse(await server.arrived(), "x".repeat(size));
  const drained = server.drain(longGrace);
  raw.socket.resume();
  const received = await raw.closed;
  expect(received.slice(received.indexOf("\r\n\r\n") + 4)).toHaveLength(size);
  await drained;
});

test("lets HTTP/2 streams finish after GOAWAY", async () => {
  const server = await answeringByHand();
  const session = await connectedSession(server.url);
  const goaway = once(session, "goaway");
  const stream = session.request({ ":path": "/" });
  const res = await server.arrived();
  const drained = server.drain(longGrace);
  const [code, lastStream] = await goaway;
  expect([code, lastStream]).toEqual([0, 1]);
  endResponse(res, "finished");
  expect(await text(stream)).toBe("finished");
  await closed(session);
  await drained;
});

test("opens no HTTP/2 stream after GOAWAY", async () => {
  const server = await answeringByHand();
  const raw = await openRaw(server.port, http2Bytes(getFrame(1)));
  const first = await server.arrived();
  const drained = server.drain(longGrace);
  raw.write(Buffer.concat([getFrame(3), ping]));
  await raw.received(/pingpong/);
  endResponse(first, "first");
  await drained;
  expect(frameTypes(await raw.closed).filter((type) => type === "HEADERS")).toHaveLength(1);
});

test("destroys endless answers at the deadline, not earlier", async () => {
  const server = await answeringByHand();
  const session = await connectedSession(server.url);
  const endless = session.request({ ":path": "/endless" });
  endless.on("error", () => {}).resume();
  await write(await server.arrived(), "endless");
  const http1 = await openRaw(server.port, "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n");
  await write(await server.arrived(), "endless");
  await http1.received(/endless/);
  const unary = session.request({ ":path": "/unary" });
  const res = await server.arrived();

  const drained = server.drain(200);
  endResponse(res, "finished");
  expect(await text(unary)).toBe("finished");
  expect([endless.closed, http1.socket.destroyed]).toEqual([false, false]);
  await Promise.all([closed(endless), http1.closed, drained]);
});

test("resolves at once for a listener that never listened", async () => {
  await expect(
    createListener({ handler: () => {}, onError: () => {} }).drain(longGrace),
  ).resolves.toBeUndefined();
});

test("returns the same promise if it is called twice", async () => {
  const server = await answeringByHand();
  const first = server.drain(longGrace);
  expect(server.drain(0)).toBe(first);
  await first;
});
