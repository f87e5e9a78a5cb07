import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { curl } from "../../support/process/command.ts";
import { type Login, newLogin } from "../../support/fixtures/logins.ts";
import { type RunningService, runningService } from "../../support/fixtures/running-service.ts";
import { stytchError } from "./stytch-answers.ts";

const service = await runningService({ environment: { SESSIOND_MAX_MESSAGE_BYTES: "16384" } });

interface Api {
  readonly name: string;
  readonly path: string;
  readonly method: string;
  /** A path under its prefix that it does not document. */
  readonly unknown: string;
  readonly credential: (login: Login, service: RunningService) => string;
  /** The shape of every error of this status. */
  readonly error: (status: number) => unknown;
}

const text = expect.any(String);
const flashbackError = () => ({ success: false, error: text });
const anyStytchError = (status: number) => stytchError(status, text, text);
const kratosError = (code: number) => ({ error: { code, status: text, message: text } });
const ownError = () => ({ code: expect.any(Number), message: text, details: expect.any(Array) });

const apis: readonly Api[] = [
  {
    name: "Flashback",
    path: "/sessions/revoke-all",
    method: "POST",
    unknown: "/sessions/x/y/z",
    credential: ({ token }) => `Authorization: Bearer ${token}`,
    error: flashbackError,
  },
  {
    name: "Stytch",
    path: "/v1/sessions/revoke",
    method: "POST",
    unknown: "/v1/users/search",
    credential: (_login, { basic }) => `Authorization: ${basic}`,
    error: anyStytchError,
  },
  {
    name: "Stytch B2B",
    path: "/v1/b2b/sessions/revoke",
    method: "POST",
    unknown: "/v1/b2b/organizations",
    credential: (_login, { basic }) => `Authorization: ${basic}`,
    error: anyStytchError,
  },
  {
    name: "Kratos",
    path: `/auth/sessions/${randomUUID()}`,
    method: "DELETE",
    unknown: "/auth/self-service/login/api",
    credential: ({ token }) => `X-Session-Token: ${token}`,
    error: kratosError,
  },
  {
    name: "the own API",
    path: "/session/v1/sessions:authenticate",
    method: "POST",
    unknown: "/session/v1/tokens",
    credential: (_login, { basic }) => `Authorization: ${basic}`,
    error: ownError,
  },
];

/** Calls by curl with the credential of an API, as an end user of their own each time. */
function asking(credential: Api["credential"]) {
  return async (url: string, ...more: string[]) => {
    const login = await newLogin(service);
    const answer = await curl(`${service.url}${url}`, "-H", credential(login, service), ...more);
    return { ...answer, json: answer.body === "" ? undefined : JSON.parse(answer.body) };
  };
}

describe.each(apis)("$name", ({ name, path, method, unknown, credential, error }) => {
  const ask = asking(credential);

  test("404 for a path it does not document", async () => {
    for (const url of [unknown, `${path}/`, path.replace(/^\/\w+/, "$&/")]) {
      const { status, json, headers } = await ask(url, "-X", method);
      expect(status, url).toBe(404);
      expect(json, url).toEqual(error(404));
      expect(headers.get("content-type")).toBe("application/json");
    }
  });

  test.each(["GET", "PUT", "PATCH", "OPTIONS", "PROPFIND", method === "POST" ? "DELETE" : "POST"])(
    "405 with Allow for %s",
    async (wrong) => {
      const { status, json, headers } = await ask(path, "-X", wrong);
      expect(status).toBe(405);
      expect(headers.get("allow")).toBe(method);
      expect(json).toEqual(error(405));
    },
  );

  test("405 without a body for HEAD", async () => {
    const { status, body, headers } = await ask(path, "--head");
    expect({ status, body, allow: headers.get("allow") }).toEqual({ status: 405, body: "", allow: method });
  });

  test("400 for a malformed deadline", async () => {
    const { status, json } = await ask(path, "-X", method, "-H", "connect-timeout-ms: soon");
    expect(status).toBe(400);
    expect(json).toEqual(error(400));
  });

  test("errors of a documented API have none of our headers", async () => {
    const anonymous = await curl(`${service.url}${path}`, "-X", method);
    const malformed = await ask(path, "-X", method, "-H", "connect-timeout-ms: soon");
    const reasons = [anonymous, malformed].map(({ headers }) => headers.get("sessiond-error-reason"));
    expect(reasons).toEqual(name === "the own API" ? ["CREDENTIAL_MISSING", "FIELD_INVALID"] : [null, null]);
  });

  test.each([["--http1.1"], ["--http2-prior-knowledge"]])("X-Request-Id, curl %s", async (version) => {
    const sane = ["a", "0b9c-1/2:3", "x".repeat(128), "!~"];
    for (const id of sane) {
      const { headers } = await ask(path, "-X", method, version, "-H", `X-Request-Id: ${id}`);
      expect(headers.get("x-request-id")).toBe(id);
    }
    const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    const fresh = [
      [],
      ["X-Request-Id;"],
      [`X-Request-Id: ${"x".repeat(129)}`],
      ["X-Request-Id: a b"],
      ["X-Request-Id: ä"],
    ];
    const ids = [];
    for (const header of fresh) {
      const options = header.flatMap((one) => ["-H", one]);
      const { headers } = await ask(path, "-X", method, version, ...options);
      expect(headers.get("x-request-id"), header.join()).toMatch(uuid);
      ids.push(headers.get("x-request-id"));
    }
    expect(new Set(ids).size).toBe(fresh.length);
    const notFound = await ask(unknown, version, "-H", "X-Request-Id: mine");
    expect(notFound.headers.get("x-request-id")).toBe("mine");
  });
});

test("a path under no prefix is the own API's 404", async () => {
  const { status, body } = await curl(`${service.url}/favicon.ico`);
  expect(status).toBe(404);
  expect(JSON.parse(body)).toEqual({ code: 5, message: "no such path", details: [] });
});

const otherTypes = ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json"];

describe.each(apis.filter(({ method }) => method === "POST"))(
  "$name takes JSON, and",
  ({ path, credential, error }) => {
    const ask = asking(credential);

    test("answers 415 to another content type", async () => {
      for (const type of otherTypes) {
        const { status, json } = await ask(path, "-d", "a=b", "-H", `Content-Type: ${type}`);
        expect(status, type).toBe(415);
        expect(json).toEqual(error(415));
      }
    });

    test("answers 413 over the limit, as sent and inflated", async () => {
      const body = JSON.stringify({ token: "x".repeat(20_000) });
      for (const more of [[], ["-H", "Transfer-Encoding: chunked"]]) {
        const { status, json } = await ask(path, "--json", body, ...more);
        expect({ status, json }).toEqual({ status: 413, json: error(413) });
      }
    });
  },
);

test.each(apis.filter(({ method }) => method === "DELETE"))(
  "$name ignores a body",
  async ({ path, method, credential }) => {
    for (const type of [...otherTypes, "application/json"]) {
      const sent = ["-X", method, "-d", "a=b", "-H", `Content-Type: ${type}`];
      expect((await asking(credential)(path, ...sent)).status, type).toBe(204);
    }
  },
);
