import { once } from "node:events";
import { request } from "node:https";
import type { ClientHttp2Session, SecureClientSessionOptions } from "node:http2";
import { text } from "node:stream/consumers";
import { type ConnectionOptions, type TLSSocket, connect as connectTls } from "node:tls";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { ListenerOptions } from "../../../../src/server/listener/listener.ts";
import { PeerRegistry } from "../../../../src/server/listener/peer.ts";
import type { TlsMaterial } from "../../../../src/server/tls/certificates.ts";
import type { TlsOptions } from "../../../../src/server/listener/tls.ts";
import { type Certified, authority } from "../../../support/process/certificates.ts";
import { closeCode, listening, openSession } from "./listening.ts";
import { openRaw } from "./raw-connection.ts";
import { preface } from "../../../support/fixtures/http2-bytes.ts";
import {
  type HttpResponse,
  type RequestHandler,
  endResponse,
} from "../../../../src/transport/http-message.ts";

const ca = authority();
const clients = authority();
const here = ca.issue({ names: ["IP:127.0.0.1"] });

function materialOf({ cert, key }: Certified, clientCa?: string): TlsMaterial {
  return { cert, key, clientCa, expireTime: new Date(0) };
}

function tlsOf(certified: Certified, clientCa?: string): TlsOptions {
  return { material: materialOf(certified, clientCa), minVersion: "TLSv1.2" };
}

/** Failures that tests cause on purpose. */
const ignored = { onError: () => undefined } satisfies Partial<ListenerOptions>;

const peers = new PeerRegistry();
/** Serves with TLS. */
const serving = (options: Partial<ListenerOptions> = {}) =>
  listening({ peers, handler: echo, tls: tlsOf(here), ...options });

/** Answers with the protocol, the body, and the names of the client, as the server sees them. */
const echo: RequestHandler = async (req, res) => {
  const body = await text(req);
  const peer = peers.peerOf("stream" in req ? req.stream.session : req.socket);
  endResponse(res, `${req.httpVersion} ${body} ${peer.certificateNames?.join() ?? "anonymous"}`);
};

async function http1(port: number, options: ConnectionOptions = {}): Promise<string> {
  const req = request({ host: "127.0.0.1", port, ca: ca.cert, method: "POST", agent: false, ...options });
  req.end("hello");
  const [res] = await once(req, "response");
  return text(res);
}

function session(url: string, options: SecureClientSessionOptions = {}): ClientHttp2Session {
  return openSession(url, { ca: ca.cert, ...options });
}

async function http2(on: ClientHttp2Session): Promise<string> {
  const stream = on.request({ ":method": "POST", ":path": "/" });
  stream.end("hello");
  // A stream of a connection that was cut ends as if its answer were empty.
  await new Promise<void>((resolve, reject) => {
    stream.once("response", () => resolve()).on("error", () => {});
    stream.once("close", () => reject(new Error("the connection was cut")));
  });
  return text(stream);
}

/** Errors of clients whose connection ended before its answer. */
const cut = /socket hang up|ECONNRESET|EPIPE|was cut|disconnected before/;

/** A connection that shakes hands and sends nothing; its failure is a rejection. */
async function shakeHands(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connectTls({ host: "127.0.0.1", port, ca: ca.cert, ...options });
  onTestFinished(() => void socket.destroy());
  await once(socket, "secureConnect");
  return socket.on("error", () => {});
}

test("serves HTTP/1.1 and HTTP/2 on one port, selected by ALPN", async () => {
  const { port, url } = await serving();
  expect(await http1(port)).toBe("1.1 hello anonymous");
  expect(await http1(port, { ALPNProtocols: ["http/1.1"] })).toBe("1.1 hello anonymous");
  expect(await http2(session(url))).toBe("2.0 hello anonymous");
  const both = await shakeHands(port, { ALPNProtocols: ["http/1.1", "h2"] });
  expect(both.alpnProtocol).toBe("h2");
});

test("refuses an unknown ALPN protocol and TLS 1.1 in the handshake", async () => {
  const { port } = await serving(ignored);
  await expect(shakeHands(port, { ALPNProtocols: ["spdy/3"] })).rejects.toThrow(/no application protocol/);
  const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "ALL:@SECLEVEL=0" } as const;
  await expect(shakeHands(port, old)).rejects.toThrow(/protocol version/);
  expect((await shakeHands(port, { maxVersion: "TLSv1.2" })).getProtocol()).toBe("TLSv1.2");
});

test("refuses TLS versions below the configured minimum", async () => {
  const { port } = await serving({ tls: { ...tlsOf(here), minVersion: "TLSv1.3" }, ...ignored });
  await expect(shakeHands(port, { maxVersion: "TLSv1.2" })).rejects.toThrow(/protocol version/);
  expect((await shakeHands(port)).getProtocol()).toBe("TLSv1.3");
});

test("resumes no session, so that each handshake uses the current certificates", async () => {
  const { port } = await serving();
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    const first = await shakeHands(port, { maxVersion });
    let kept = first.getSession();
    first.on("session", (ticket: NonNullable<typeof kept>) => (kept = ticket));
    first.write("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    await text(first);
    const second = await shakeHands(port, { maxVersion, ...(kept && { session: kept }) });
    expect(second.isSessionReused()).toBe(false);
  }
});

test.each([
  [
    "with the reason over HTTP/1.1",
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    /^HTTP\/1.1 400 Bad Request\r\n[^]*"this port speaks TLS: use https"/,
  ],
  ["without an answer over HTTP/2", preface, /^$/],
])("closes an unencrypted connection %s", async (_, bytes, answer) => {
  const { port } = await serving();
  const raw = await openRaw(port, bytes);
  expect(await raw.closed).toMatch(answer);
});

describe("closes a connection", () => {
  test.each([
    ["sends nothing", ""],
    ["begins a record", "\x16\x03\x01"],
    ["begins a hello", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"],
  ])("whose client %s in the handshake", async (_, bytes) => {
    const { port } = await serving({ limits: { prefaceTimeoutMs: 50 }, ...ignored });
    const raw = await openRaw(port, Buffer.from(bytes, "latin1"));
    await expect(raw.closed).resolves.toBeTypeOf("string");
    expect(await http1(port)).toContain("hello");
  });

  test.each([
    ["h2", { prefaceTimeoutMs: 50 }, /[^]*/],
    ["http/1.1", { headersTimeoutMs: 50, requestTimeoutMs: 50 }, /408 Request Timeout/],
  ])("whose %s client sends nothing after the handshake", async (protocol, limits, answer) => {
    const { port } = await serving({ limits });
    expect(await text(await shakeHands(port, { ALPNProtocols: [protocol] }))).toMatch(answer);
  });
});

test("closes connections beyond the limit and serves the others", async () => {
  const { port } = await serving({ limits: { maxConnections: 1 } });
  const kept = await shakeHands(port);
  await expect(shakeHands(port)).rejects.toThrow(cut);
  kept.write("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  expect(await text(kept)).toContain("200 OK");
});

describe("a client certificate", () => {
  const names = ["URI:spiffe://prod.example/ns/shop/sa/orders", "DNS:orders.shop.svc"];
  const known = clients.issue({ names });
  const guarded = tlsOf(here, clients.cert);

  test("that verifies names the client, over both protocols", async () => {
    const { port, url } = await serving({ tls: guarded });
    const both = "spiffe://prod.example/ns/shop/sa/orders,orders.shop.svc";
    expect(await http1(port, known)).toBe(`1.1 hello ${both}`);
    expect(await http2(session(url, known))).toBe(`2.0 hello ${both}`);
    expect(await http1(port, { ...known, maxVersion: "TLSv1.2" })).toBe(`1.1 hello ${both}`);
  });

  test.each([
    ["is optional", guarded, {}],
    ["is neither requested nor trusted without a CA", tlsOf(here), known],
  ])("%s", async (_, tls, options) => {
    const { port, url } = await serving({ tls });
    expect(await http1(port, options)).toBe("1.1 hello anonymous");
    expect(await http2(session(url, options))).toBe("2.0 hello anonymous");
  });

  test("with names that could imitate others identifies no caller by them", async () => {
    const { port } = await serving({ tls: guarded });
    const disguised = [
      "DNS:a, URI:spiffe://prod.example/admin",
      "DNS:*.example",
      "URI:https://orders.example/",
      "URI:spiffe://prod.example",
      "IP:10.0.0.1",
      'DNS:b", URI:spiffe://prod.example/admin',
    ];
    expect(await http1(port, clients.issue({ names: disguised }))).toBe("1.1 hello ");
    expect(await http1(port, clients.issue())).toBe("1.1 hello ");
    expect(await http1(port, clients.issue({ names: [...disguised, "DNS:ORDERS.example"] }))).toBe(
      "1.1 hello orders.example",
    );
    const many = Array.from({ length: 101 }, (_, i) => `DNS:n${i}.example`);
    expect(await http1(port, clients.issue({ names: many }))).toBe("1.1 hello ");
  });

  const yesterday = new Date(Date.now() - 86_400_000);
  const tomorrow = new Date(Date.now() + 43_200_000);
  test.each([
    ["of another authority", authority().issue({ names }), "UNABLE_TO"],
    ["of the server's authority", ca.issue({ names }), "SELF_SIGNED"],
    ["that has expired", clients.issue({ names, notAfter: new Date(Date.now() - 1000) }), "CERT_HAS_EXPIRED"],
    ["that is not valid yet", clients.issue({ names, notBefore: tomorrow }), "CERT_NOT_YET_VALID"],
    ["that expired long ago", clients.issue({ names, notBefore: yesterday, notAfter: yesterday }), "EXPIRED"],
  ])("%s closes the connection", async (_, certified, problem) => {
    const failures: string[] = [];
    const { port, url } = await serving({
      tls: guarded,
      onError: (error, place) => failures.push(`${place}: ${String(error)}`),
    });
    await expect(http1(port, certified)).rejects.toThrow(cut);
    await expect(http2(session(url, certified))).rejects.toThrow(cut);
    const refused = failures.filter((failure) => failure.startsWith("client certificate:"));
    expect(refused).toEqual([expect.stringMatching(problem), expect.stringMatching(problem)]);
  });

  test("that expires ends its connections gracefully", async () => {
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const arrived = Promise.withResolvers<HttpResponse>();
    const { url, port } = await serving({
      handler: (req, res) => (req.url === "/held" ? arrived.resolve(res) : echo(req, res)),
      tls: guarded,
    });
    const kept = await shakeHands(port, known);
    const opened = session(url, known);
    // The answer to the PING shows that the client has acknowledged SETTINGS, which has a timeout of its own.
    await once(opened, "remoteSettings");
    await new Promise((answered) => opened.ping(answered));
    const goaway = once(opened, "goaway");
    const held = opened.request({ ":path": "/held" });
    const response = await arrived.promise;
    vi.advanceTimersByTime(86_400_000);
    await goaway;
    endResponse(response, "finished");
    expect(await text(held)).toBe("finished");
    await once(opened, "close");
    kept.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(await text(kept)).toMatch(/connection: close/i);
  });
});

describe("renewed certificates", () => {
  test("apply to new connections, while open ones continue", async () => {
    const other = authority();
    const { port, url, ...listener } = await serving(ignored);
    const before = session(url);
    expect(await http2(before)).toBe("2.0 hello anonymous");
    listener.renewTls(materialOf(other.issue({ names: ["IP:127.0.0.1"] })));
    expect(await http1(port, { ca: other.cert })).toBe("1.1 hello anonymous");
    await expect(http1(port)).rejects.toThrow(/unable to verify|self-signed|unable to get/);
    expect(await http2(before)).toBe("2.0 hello anonymous");
  });

  test("of the clients' CA apply at once, also to clients that connected before", async () => {
    const known = clients.issue({ names: ["DNS:orders.example"] });
    const { port, ...listener } = await serving({ tls: tlsOf(here, clients.cert), ...ignored });
    expect(await http1(port, known)).toBe("1.1 hello orders.example");
    listener.renewTls(materialOf(here, authority().cert));
    await expect(http1(port, known)).rejects.toThrow(cut);
  });
});

describe("a drain", () => {
  const longGrace = 60_000;

  test("lets requests finish, announces it, and closes idle connections at once", async () => {
    const arrivals: HttpResponse[] = [];
    const both = Promise.withResolvers<void>();
    const { port, url, ...listener } = await serving({
      handler(_, res) {
        if (arrivals.push(res) === 2) both.resolve();
      },
    });
    const idle = await shakeHands(port);
    const opened = session(url);
    const goaway = once(opened, "goaway");
    const answers = [http1(port), http2(opened)];
    await both.promise;
    const drained = listener.drain(longGrace);
    await goaway;
    await once(idle.resume(), "close");
    for (const res of arrivals) endResponse(res, "finished");
    expect(await Promise.all(answers)).toEqual(["finished", "finished"]);
    await drained;
  });

  test("cuts calls that do not end in time", async () => {
    const arrived = Promise.withResolvers<void>();
    const { url, ...listener } = await serving({ handler: () => arrived.resolve() });
    const opened = session(url);
    const answer = http2(opened).catch(String);
    await arrived.promise;
    await listener.drain(0);
    expect(await answer).toMatch(cut);
  });

  test("closes connections that have not finished their handshake", async () => {
    const { port, ...listener } = await serving(ignored);
    const raw = await openRaw(port, Buffer.from("\x16\x03\x01", "latin1"));
    const silent = await openRaw(port);
    await listener.drain(50);
    expect(await raw.closed).toBe("");
    expect(await silent.closed).toBe("");
  });
});

test("refuses a renegotiation and serves other clients", async () => {
  const { port } = await serving(ignored);
  const greedy = await shakeHands(port, { maxVersion: "TLSv1.2" });
  const outcome = await new Promise((resolve) => {
    greedy.once("error", resolve).once("close", () => resolve(new Error("closed")));
    greedy.renegotiate({ rejectUnauthorized: false }, resolve);
  });
  expect(outcome).toBeInstanceOf(Error);
  expect(await http1(port)).toBe("1.1 hello anonymous");
});

test("gives up an unread answer over TLS too", async () => {
  const { url, port } = await serving({
    handler: (_, res) => endResponse(res, Buffer.alloc(100_000)),
    limits: { unreadTimeoutMs: 50 },
    ...ignored,
  });
  const opened = session(url, { settings: { initialWindowSize: 0 } });
  expect(await closeCode(opened.request({ ":path": "/" }))).toBe(8);
  expect((await shakeHands(port)).authorized).toBe(true);
});
