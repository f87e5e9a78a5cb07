import { once } from "node:events";
import { text } from "node:stream/consumers";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { Health, HealthCheckResponse_ServingStatus } from "../../../../gen/grpc/health/v1/health_pb.ts";
import { isAuthority, safeHost } from "../../../../src/server/rpc/header-checks.ts";
import { listening, openSession } from "../listener/listening.ts";
import { frame, headerBlock, preface, settings } from "../../../support/fixtures/http2-bytes.ts";
import { openRaw } from "../listener/raw-connection.ts";

const path = "/grpc.health.v1.Health/Check";
const { SERVING } = HealthCheckResponse_ServingStatus;

function servingHealth() {
  const handler = connectNodeAdapter({
    routes: (router) => router.service(Health, { check: () => ({ status: SERVING }) }),
  });
  return listening({ handler: safeHost(handler) });
}

async function http1(port: number, head: string): Promise<string> {
  const raw = await openRaw(
    port,
    `${head}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
  );
  return raw.closed;
}

async function http2(url: string, headers: Record<string, string>) {
  const stream = openSession(url).request({ ":method": "POST", ":path": path, ...headers });
  stream.end(headers["content-type"] === "application/json" ? "{}" : Buffer.alloc(5));
  const [answer] = await once(stream, "response");
  return { answer, body: await text(stream) };
}

const unusable = ["[", "[::1", "a b", "a/b", "a?b", "a#b", "me@h", "h:port", "::1", "%"];

describe("HTTP/1", () => {
  const malformed = "the Host header is not a host name";
  test.each<[name: string, headers: string, message: string]>([
    ["no Host in HTTP/1.1", "", "the Host header is missing"],
    ["an empty Host", "\r\nHost:", "the Host header is missing"],
    ["two Hosts", "\r\nHost: a\r\nHost: b", "more than one Host header"],
    ...unusable.map((host): [string, string, string] => [`Host ${host}`, `\r\nHost: ${host}`, malformed]),
  ])("refuses %s", async (_, headers, message) => {
    const { port } = await servingHealth();
    const answer = await http1(port, `POST ${path} HTTP/1.1${headers}`);
    expect(answer).toMatch(
      /^HTTP\/1.1 400 Bad Request\r\nx-request-id: [^\r]*\r\nconnection: close\r\ncontent-type: application\/json\r\n/,
    );
    expect(answer).toContain(`{"code":"invalid_argument","message":"host: ${message}`);
  });

  test.each([
    "h",
    "h:80",
    "127.0.0.1:8080",
    "[::1]",
    "[::1]:8080",
    "my_service",
    "a.b.c.",
    "xn--bcher-kva.example",
  ])("serves Host %s", async (host) => {
    const { port } = await servingHealth();
    expect(await http1(port, `POST ${path} HTTP/1.1\r\nHost: ${host}`)).toContain('{"status":"SERVING"}');
    expect(await http1(port, `POST ${path} HTTP/1.0\r\nHost: ${host}`)).toContain('{"status":"SERVING"}');
  });
});

test.each([
  "127.0.0.1:1,127.0.0.1:2",
  "[::1]:1%2C[::1]:2",
  "a,b:1",
  "%2Frun%2Fsessiond.sock",
  "[fe80::1%25eth0]:1",
])("%s, which gRPC clients send, is an authority", (authority) => expect(isAuthority(authority)).toBe(true));

describe("HTTP/2", () => {
  const message = /^host: the :authority or Host header is not a host name/;

  test.each(["[", "a:b:c", "h:port"])("refuses :authority %s", async (authority) => {
    const { url } = await servingHealth();
    const json = await http2(url, { ":authority": authority, "content-type": "application/json" });
    expect(json.answer).toMatchObject({ ":status": 400, "content-type": "application/json" });
    expect(JSON.parse(json.body)).toMatchObject({
      code: "invalid_argument",
      message: expect.stringMatching(message),
    });
  });

  test.each([
    "application/grpc",
    "application/grpc+proto",
    "application/grpc-web+proto",
    "application/grpc-web-text",
  ])("answers %s with a trailers-only INVALID_ARGUMENT", async (contentType) => {
    const { url } = await servingHealth();
    const { answer, body } = await http2(url, { ":authority": "[", "content-type": contentType });
    expect(answer).toMatchObject({
      ":status": 200,
      "content-type": contentType,
      "grpc-status": "3",
      "grpc-message": expect.stringMatching(message),
    });
    expect(body).toBe("");
  });

  test("takes a Host header in place of :authority", async () => {
    const { port } = await servingHealth();
    const raw = await openRaw(port);
    const head = { ":method": "POST", ":path": path, ":scheme": "http", "content-type": "application/json" };
    raw.write(preface);
    raw.write(settings);
    for (const [i, host] of ["h", "["].entries()) {
      raw.write(
        Buffer.concat([frame(1, 4, 1 + 2 * i, headerBlock({ ...head, host })), frame(0, 1, 1 + 2 * i, "{}")]),
      );
    }
    await raw.received(/"status":"SERVING"/);
    expect(await raw.received(/"code":"invalid_argument"/)).toContain("Host header is not a host name");
  });
});
