import { once } from "node:events";
import { request as http1Request } from "node:http";
import { describe, expect, test } from "vitest";
import { frame, headerBlock, preface, settings } from "../../support/fixtures/http2-bytes.ts";
import { openRaw } from "../../unit/server/listener/raw-connection.ts";
import { attackTarget } from "./target.ts";

const target = await attackTarget();
const base64 = (value: string) => Buffer.from(value).toString("base64");

const malformed: Record<string, string> = {
  "a scheme alone": "Basic",
  "a scheme and blanks": "Basic   ",
  "Basic without a colon": `Basic ${base64("home")}`,
  "Basic with an empty secret": `Basic ${base64("home:")}`,
  "Basic with an empty project": `Basic ${base64(":secret")}`,
  "Basic with NUL": `Basic ${base64("home\0:secret")}`,
  "Basic that is not base64": "Basic !!!!",
  "Basic with bytes that are not UTF-8": `Basic ${Buffer.from("ff3aff", "hex").toString("base64")}`,
  "Basic with two values": `Basic ${base64("home:a")} ${base64("home:b")}`,
  "Basic with a parameter": `Basic ${base64("home:a")}, realm=x`,
  "Basic with a wrong secret": `Basic ${base64("home:wrong")}`,
  "Basic with an unknown project": `Basic ${base64("nobody:secret")}`,
  "Basic with SQL": `Basic ${base64("home' or '1'='1:x")}`,
  "Basic with 10,000 characters": `Basic ${base64(`home:${"x".repeat(7400)}`)}`,
  "Bearer without a token": "Bearer ",
  "Bearer with blanks in the token": "Bearer sst_a b",
  "Bearer with 10,000 characters": `Bearer sst_${"x".repeat(10_000)}`,
  "Bearer with dots": `Bearer ${".".repeat(10_000)}`,
  "another scheme": "Digest username=home",
  "no scheme": "sst_token",
  "an empty value": "",
};

describe.each(Object.entries(malformed))("Authorization: %s", (_, authorization) => {
  test.each([
    ["POST", "/session.v1.SessionService/List"],
    ["GET", "/session/v1/sessions?member_id=a"],
    ["POST", "/v1/sessions/revoke"],
    ["POST", "/v1/b2b/sessions/revoke"],
    ["POST", "/sessions/revoke-all"],
    ["DELETE", "/auth/sessions/0190a8b0-0000-7000-8000-000000000000"],
  ])("gets 401 from %s %s, which does not repeat it", async (method, path) => {
    const body = method === "POST" ? {} : undefined;
    const answer = await target.send(method, path, { headers: { authorization }, body });
    expect(answer).toMatchObject({ status: 401 });
    const isRepeated = authorization.length > 12 && answer.text.includes(authorization.slice(6, 40));
    expect(isRepeated).toBe(false);
  });
});

describe("accepts", () => {
  test.each(["basic", "BASIC", "Basic", "bAsIc  "])("the scheme %s", async (scheme) => {
    const authorization = `${scheme} ${target.home.basic.slice("Basic ".length)}`;
    const answer = await target.call("SessionService/List", { memberId: "a" }, { authorization });
    expect(answer.status).toBe(200);
  });

  test.each(["bearer", "BEARER"])("the scheme %s", async (scheme) => {
    const { token } = await target.createSession();
    const answer = await target.call("SessionService/List", {}, { authorization: `${scheme} ${token}` });
    expect(answer.status).toBe(200);
  });
});

describe("rejects two Authorization headers, even if one is valid", () => {
  const wrong = `Basic ${base64("home:wrong")}`;
  test.each([
    ["the invalid one first", () => [wrong, target.home.basic]],
    ["the valid one first", () => [target.home.basic, wrong]],
    ["the same twice", () => [target.home.basic, target.home.basic]],
  ])("HTTP/1.1, %s", async (_, values) => {
    const request = http1Request(`${target.url}/session.v1.SessionService/List`, {
      method: "POST",
      headers: ["host", "a", "content-type", "application/json"].concat(
        values().flatMap((value) => ["Authorization", value]),
      ),
    });
    request.end('{"memberId": "a"}');
    const [answer] = await once(request, "response");
    expect(answer.statusCode).toBe(401);
  });

  test("HTTP/2", async () => {
    const raw = await openRaw(target.port);
    const block = Buffer.concat([
      headerBlock({
        ":method": "GET",
        ":scheme": "http",
        ":authority": "a",
        ":path": "/session/v1/projects",
      }),
      headerBlock({ authorization: target.home.basic }),
      headerBlock({ authorization: wrong }),
    ]);
    raw.write(Buffer.concat([Buffer.from(preface), settings, frame(1, 5, 1, block)]));
    expect(await raw.received(/"code":\d+/)).toContain('"code":16');
  });
});

test("rejects a session token that is sent twice, joined by a comma", async () => {
  const { token } = await target.createSession();
  const headers = { "x-session-token": `${token}, ${token}` };
  expect(await target.send("GET", "/session/v1/sessions", { headers })).toMatchObject({ status: 401 });
});

test("reads only the first cookie with the exact name", async () => {
  const { token, id } = await target.createSession({ memberId: "cookie" });
  const del = (cookie: string) => target.send("DELETE", `/auth/sessions/${id}`, { headers: { cookie } });
  expect(await del(`xory_kratos_session=${token}`)).toMatchObject({ status: 401 });
  expect(await del(`ory_kratos_session=; ory_kratos_session=${token}`)).toMatchObject({ status: 401 });
  expect(await del(`ory_kratos_session="${token}"`)).toMatchObject({ status: 400 });
});

test.each([
  { origin: "https://evil.example" },
  { origin: "null" },
  { origin: "not an origin" },
  { "sec-fetch-site": "cross-site" },
  { "sec-fetch-site": "same-site" },
])("a cookie sent by a page of another site revokes nothing: %o", async (headers) => {
  const { token } = await target.createSession({ memberId: "browser" });
  const other = await target.createSession({ memberId: "browser" });
  const answer = await target.send("DELETE", `/auth/sessions/${other.id}`, {
    headers: { cookie: `ory_kratos_session=${token}`, ...headers },
  });
  expect(answer.status).toBe(403);
  expect(await target.stateOf(other)).toBe("SESSION_STATE_ACTIVE");
});

test("rejects the session of a member beside a service if it is malformed or of another project", async () => {
  const { id } = await target.createSession();
  const foreign = await target.createSession({ memberId: "alice" }, target.foreign);
  for (const token of [foreign.token, "sst_nothing", "x"]) {
    const headers = { authorization: target.home.basic, "x-stytch-member-session": token };
    const body = { member_session_id: id };
    expect(await target.send("POST", "/v1/b2b/sessions/revoke", { headers, body })).toMatchObject({
      status: 401,
    });
  }
});
