import { request as http1Request } from "node:http";
import { describe, expect, test } from "vitest";
import { frame, headerBlock, preface, settings } from "../../support/fixtures/http2-bytes.ts";
import { openRaw } from "../../unit/server/listener/raw-connection.ts";
import { attackTarget } from "./target.ts";

const target = attackTarget();
const base64 = (value: string) => Buffer.from(value).toString("base64");

/** Authorization headers that are right in nothing. */
const malformed: Record<string, string> = {
  "a scheme alone": "Basic",
  "a scheme and blanks": "Basic   ",
  "Basic without a colon": `Basic ${base64("home")}`,
  "Basic with an empty secret": `Basic ${base64("home:")}`,
  "Basic with an empty project": `Basic ${base64(":secret")}`,
  "Basic with NUL": `Basic ${base64("home\0:secret")}`,
  "Basic that is no base64": "Basic !!!!",
  "Basic with bytes that are no UTF-8": `Basic ${Buffer.from("ff3aff", "hex").toString("base64")}`,
  "Basic with two values": `Basic ${base64("home:a")} ${base64("home:b")}`,
  "Basic with a parameter": `Basic ${base64("home:a")}, realm=x`,
  "Basic of a wrong secret": `Basic ${base64("home:wrong")}`,
  "Basic of an unknown project": `Basic ${base64("nobody:secret")}`,
  "Basic with SQL": `Basic ${base64("home' or '1'='1:x")}`,
  "Basic of 10,000 characters": `Basic ${base64(`home:${"x".repeat(7400)}`)}`,
  "Bearer without a token": "Bearer ",
  "Bearer with blanks in the token": "Bearer sst_a b",
  "Bearer of 10,000 characters": `Bearer sst_${"x".repeat(10_000)}`,
  "Bearer of dots": `Bearer ${".".repeat(10_000)}`,
  "another scheme": "Digest username=home",
  "no scheme": "sst_token",
  nothing: "",
};

describe.each(Object.entries(malformed))("Authorization: %s", (_, authorization) => {
  test.each([
    ["POST", "/session.v1.SessionService/List"],
    ["GET", "/session/v1/sessions?member_id=a"],
    ["POST", "/v1/sessions/revoke"],
    ["POST", "/v1/b2b/sessions/revoke"],
    ["POST", "/sessions/revoke-all"],
    ["DELETE", "/auth/sessions/0190a8b0-0000-7000-8000-000000000000"],
  ])("is 401 at %s %s", async (method, path) => {
    const body = method === "POST" ? {} : undefined;
    const answer = await target.send(method, path, { headers: { authorization }, body });
    expect(answer).toMatchObject({ status: 401 });
    const isRepeated = authorization.length > 12 && answer.text.includes(authorization.slice(6, 40));
    expect(isRepeated).toBe(false);
  });
});

describe("spellings that are right", () => {
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

describe("two Authorization headers are refused, whichever is right", () => {
  const wrong = `Basic ${base64("home:wrong")}`;
  test.each([
    ["wrong first", () => [wrong, target.home.basic]],
    ["right first", () => [target.home.basic, wrong]],
    ["the same twice", () => [target.home.basic, target.home.basic]],
  ])("HTTP/1.1, %s", async (_, values) => {
    const request = http1Request(`${target.url}/session.v1.SessionService/List`, {
      method: "POST",
      headers: [
        "host",
        "a",
        "content-type",
        "application/json",
        ...values().flatMap((v) => ["Authorization", v]),
      ],
    });
    const status = new Promise((resolve) => request.on("response", (answer) => resolve(answer.statusCode)));
    request.end('{"memberId": "a"}');
    expect(await status).toBe(401);
  });

  test("HTTP/2", async () => {
    const raw = await openRaw(target.port);
    raw.write(preface);
    raw.write(settings);
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
    raw.write(frame(1, 5, 1, block));
    expect(await raw.received(/"code":\d+/)).toContain('"code":16');
  });
});

test("a session token that is sent twice, joined by a comma, is none", async () => {
  const { token } = await target.createSession();
  const headers = { "x-session-token": `${token}, ${token}` };
  expect(await target.send("GET", "/session/v1/sessions", { headers })).toMatchObject({ status: 401 });
});

test("the first cookie of a name counts, and only with the exact name", async () => {
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
])("a cookie on another site's page ends nothing: %o", async (headers) => {
  const { token } = await target.createSession({ memberId: "browser" });
  const other = await target.createSession({ memberId: "browser" });
  const answer = await target.send("DELETE", `/auth/sessions/${other.id}`, {
    headers: { cookie: `ory_kratos_session=${token}`, ...headers },
  });
  expect(answer.status).toBe(403);
  const get = await target.call("SessionService/Get", { id: other.id });
  expect(get.json.session.state).toBe("SESSION_STATE_ACTIVE");
});
