import { connect as connectHttp2 } from "node:http2";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { openRaw } from "../../unit/server/listener/raw-connection.ts";
import { attackTarget } from "./target.ts";

const target = await attackTarget();
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Requests that the HTTP server rejects, and some that reach the service. */
const requests: Record<string, string> = {
  garbage: "\x16\x03\x01 this is TLS\r\n\r\n",
  "no Host": "GET /session/v1/sessions HTTP/1.1\r\n\r\n",
  "an unusable Host": "POST /session.v1.SessionService/Get HTTP/1.1\r\nHost: [\r\n\r\n",
  "HTTP/1.0 without Host": "POST /session.v1.SessionService/Get HTTP/1.0\r\n\r\n",
  "headers that are too large": `GET / HTTP/1.1\r\nHost: a\r\nx: ${"x".repeat(20_000)}\r\n\r\n`,
  "an unknown expectation":
    "GET /healthz HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nConnection: close\r\n\r\n",
  "an upgrade":
    "GET /healthz HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: close, upgrade\r\n\r\n",
  "an unknown path": "GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  "an absolute form": "GET http://b/nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  "an asterisk": "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  "two slashes": "GET //[ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  "a wrong method": "PUT /sessions/revoke-all HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  "a wrong method of RPC":
    "PUT /session.v1.SessionService/Get HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  "a wrong content type":
    "POST /session.v1.SessionService/Get HTTP/1.1\r\nHost: a\r\nContent-Type: text/csv\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
};

test.each(Object.entries(requests))("the answer to %s has a request id", async (_, bytes) => {
  const raw = await openRaw(target.port);
  raw.write(bytes);
  const answer = await raw.closed;
  expect(answer).toMatch(/^HTTP\/1\.1 \d{3} /);
  expect(/^x-request-id: (.*)\r$/im.exec(answer)?.[1]).toMatch(uuid);
});

describe("HTTP/2", () => {
  test.each([
    { ":path": "/nowhere" },
    { ":path": "/session.v1.SessionService/Get", ":method": "POST", ":authority": "[" },
    { ":path": "/healthz", expect: "wonders" },
    { ":method": "CONNECT", ":authority": "a:1" },
    { ":path": "/session.v1.SessionService/Get", ":method": "POST", "content-type": "application/grpc" },
    { ":path": "*", ":method": "OPTIONS" },
  ])("the answer to %o has a request id", async (headers) => {
    const session = connectHttp2(target.url);
    onTestFinished(() => session.destroy());
    const stream = session.request(headers, { endStream: true });
    const [answer] = await once(stream, "response");
    expect(answer["x-request-id"]).toMatch(uuid);
    await text(stream);
  });
});

describe.each([
  ["GET", "/healthz"],
  ["POST", "/session.v1.SessionService/Get"],
  ["GET", "/session/v1/sessions/x"],
  ["POST", "/v1/sessions/revoke"],
  ["POST", "/sessions/revoke-all"],
  ["DELETE", "/auth/sessions/x"],
])("%s %s", (method, path) => {
  const send = (id: string) => target.send(method, path, { headers: { "x-request-id": id } });

  test("returns the id of the caller", async () => {
    for (const id of ["a", "!~", "x".repeat(128)]) {
      expect((await send(id)).headers.get("x-request-id")).toBe(id);
    }
  });

  test("replaces an invalid id", async () => {
    for (const id of ["x".repeat(129), "a b", "\u00e4", "a, b", ""]) {
      expect((await send(id)).headers.get("x-request-id")).toMatch(uuid);
    }
  });
});
