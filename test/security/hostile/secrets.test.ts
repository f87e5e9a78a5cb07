import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { testMasterKey } from "../../support/fixtures/running-service.ts";
import { openRaw } from "../../unit/server/listener/raw-connection.ts";
import { protocols, rawCall } from "./rpc-call.ts";
import { nameOf, restRoutes, rpcMethods } from "./surface.ts";
import { attackTarget } from "./target.ts";

const target = await attackTarget();
const session = await target.createSession();
const credential = await target.createCredential("home", ["sessions.read"]);
const secrets = [session.token, session.jwt, credential.secret];
for (const secret of [session.token, credential.secret]) {
  const hash = createHash("sha256").update(secret).digest();
  target.secrets.add(hash.toString("hex")).add(hash.toString("base64")).add(hash.toString("base64url"));
}
target.secrets.add(testMasterKey).add(Buffer.from(testMasterKey, "base64").toString("hex"));

const shapes: Record<string, (secret: string) => string> = {
  "as it is": (secret) => secret,
  quoted: (secret) => JSON.stringify(secret),
  "in an object that ends early": (secret) => `{"token": "${secret}"`,
  unquoted: (secret) => `{"token": ${secret}}`,
  "as a member's name": (secret) => JSON.stringify({ [secret]: 1 }),
  "as a name in the claims": (secret) => `{"customClaims": {"${secret}": 1e999}}`,
  "as an enum": (secret) => JSON.stringify({ cause: secret, state: secret, environment: secret }),
  "as a number": (secret) => JSON.stringify({ pageSize: secret, count: secret }),
  "as a duration": (secret) => JSON.stringify({ lifetime: secret }),
  "as an id": (secret) => JSON.stringify({ id: secret, projectId: secret, exceptSessionId: secret }),
  "as an id alone": (secret) => JSON.stringify({ id: secret }),
  "as a page token": (secret) => JSON.stringify({ memberId: "a", pageToken: secret }),
  "twice as a name": (secret) => `{"${secret}": 1, "${secret}": 2}`,
};

test.each(Object.entries(shapes))("does not repeat a secret in a body, %s", async (_, shape) => {
  for (const [i, secret] of secrets.entries()) {
    const message = Buffer.from(shape(secret));
    for (const method of rpcMethods) {
      // One protocol for each secret, because all share the JSON parser.
      await rawCall(target, protocols[i] ?? "connect", { method: nameOf(method), message, format: "json" });
    }
    for (const route of restRoutes.filter(({ httpMethod }) => httpMethod !== "GET")) {
      const headers = { authorization: target.home.basic };
      await target.send(route.httpMethod, route.path("x"), { headers, body: shape(secret) });
    }
  }
  expect(target.leaks()).toEqual([]);
});

test("does not repeat a secret in a path, a query or a name in it", async () => {
  const headers = { authorization: target.home.basic };
  for (const secret of secrets) {
    // A client can read a secret in escaped form too.
    const escaped = `%${secret.charCodeAt(0).toString(16)}${secret.slice(1)}`.replaceAll(".", "%2E");
    target.secrets.add(escaped);
    for (const one of [secret, escaped]) {
      for (const route of restRoutes) {
        await target.send(route.httpMethod, route.path(one), { headers });
        await target.send(route.httpMethod, `${route.path("x")}?${one}=1`, { headers });
        await target.send(route.httpMethod, `${route.path("x")}?page_size=${one}&state=${one}`, { headers });
        await target.send(route.httpMethod, `${route.path("x")}?id=${one}&token=${one}`, { headers });
      }
      const paths = ["", "sessions/", "v1/", "auth/"].map((prefix) => `/${prefix}${one}`);
      for (const path of [...paths, `/x/${one}/y`, `/${one}?${one}`]) {
        await target.send("POST", path, { headers });
      }
      await target.send("GET", `/session.v1.SessionService/Get?connect=v1&encoding=json&message=${one}`, {
        headers,
      });
      await target.send("GET", `/session.v1.SessionService/Get?connect=v1&encoding=${one}`, { headers });
    }
  }
  expect(target.leaks()).toEqual([]);
});

const headerNames = [
  "acting-user",
  "x-request-id",
  "content-encoding",
  "content-type",
  "accept",
  "cookie",
  "origin",
  "user-agent",
  "connect-timeout-ms",
  "connect-protocol-version",
  "grpc-timeout",
  "x-server-timeout",
  "x-stytch-member-session",
  "x-stytch-member-sessionjwt",
  "x-session-token",
];

test("does not repeat a secret in a header", async () => {
  for (const secret of secrets) {
    for (const name of headerNames) {
      const headers = { authorization: target.home.basic, [name]: secret };
      await target.send("POST", "/session.v1.SessionService/List", { headers, body: {} });
      await target.send("POST", "/session/v1/sessions:revoke", { headers, body: {} });
      await target.send("POST", "/v1/b2b/sessions/revoke", { headers, body: {} });
      await target.send("DELETE", "/auth/sessions/x", { headers });
    }
    const wrong = [secret, `Token ${secret}`, `Basic ${secret}`, `Bearer ${secret}x`];
    for (const authorization of wrong) {
      await target.call("SessionService/List", { memberId: "a" }, { authorization });
    }
  }
  expect(target.leaks()).toEqual([]);
});

test("does not repeat a secret in bytes that are not a request", async () => {
  for (const secret of [session.token, target.home.basic]) {
    for (const bytes of [
      `${secret}\r\n\r\n`,
      `GET ${secret} HTTP/1.1\r\nHost: a\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: ${secret}[\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: a\r\n${secret} x: y\r\n\r\n`,
      `${secret} / HTTP/1.1\r\nHost: a\r\n\r\n`,
    ]) {
      const raw = await openRaw(target.port);
      raw.write(bytes);
      raw.socket.end();
      target.answers.push(await raw.closed);
    }
  }
  expect(target.leaks()).toEqual([]);
});

test("reads of sessions, projects and keys contain no secret", async () => {
  for (const [method, request] of [
    ["SessionService/List", { memberId: "alice" }],
    ["SessionService/Get", { id: session.id }],
    ["ProjectService/GetProject", { id: "home" }],
    ["ProjectService/ListProjects", {}],
    ["ProjectService/ListServiceCredentials", { projectId: "home" }],
    ["ProjectService/GetJwks", { projectId: "home" }],
  ] as const) {
    expect(await target.call(method, request)).toMatchObject({ status: 200 });
  }
  expect(target.leaks()).toEqual([]);
});
