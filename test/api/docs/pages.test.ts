import { describe, expect, test } from "vitest";
import { readConfig } from "../../../src/server/config/config.ts";
import { curl } from "../../support/process/command.ts";
import { runningService } from "../../support/fixtures/running-service.ts";
import { documents } from "./described.ts";

const kratos = { SESSIOND_KRATOS_PREFIX: "/accounts", SESSIOND_KRATOS_COOKIE: "session" };
const [service, silent] = [
  await runningService({ environment: kratos }),
  await runningService({ environment: { SESSIOND_DOCS: "off" } }),
];

const documentPaths = [...documents.keys()].map((name) =>
  name === "session" ? "/openapi.json" : `/openapi/${name}.json`,
);
const pagePaths = [
  "/docs",
  "/docs/page.css",
  "/docs/page.js",
  "/docs/swagger-ui.css",
  "/docs/swagger-ui-bundle.js",
];
const paths = [...documentPaths, ...pagePaths];

describe.each(paths)("%s", (path) => {
  test("is served, may load nothing from elsewhere, and is cached by its version", async () => {
    const whole = await fetch(service.url + path);
    const { status, headers } = whole;
    expect(status).toBe(200);
    expect(headers.get("content-security-policy")).toMatch(/^default-src 'none'; .*frame-ancestors 'none'$/);
    expect(headers.get("content-security-policy")).not.toMatch(/unsafe|http|\*/);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("content-length")).toBe(String((await whole.arrayBuffer()).byteLength));
    const etag = headers.get("etag") ?? "";
    const known = await fetch(service.url + path, { headers: { "if-none-match": `"other", W/${etag}` } });
    expect({ status: known.status, text: await known.text() }).toEqual({ status: 304, text: "" });
    const other = await fetch(service.url + path, { headers: { "if-none-match": '"other"' } });
    expect(other.status).toBe(200);
  });

  test.each(["--http1.1", "--http2-prior-knowledge"])(
    "answers HEAD, and 405 otherwise, by %s",
    async (version) => {
      const head = await curl(version, "--head", service.url + path);
      expect(head).toMatchObject({ status: 200, body: "" });
      expect(Number(head.headers.get("content-length"))).toBeGreaterThan(0);
      const post = await curl(version, "--data", "a", service.url + path);
      expect({ status: post.status, allow: post.headers.get("allow") }).toEqual({
        status: 405,
        allow: "GET, HEAD",
      });
    },
  );

  test("is unknown without SESSIOND_DOCS", async () => {
    const response = await fetch(silent.url + path);
    expect({ status: response.status, json: await response.json() }).toMatchObject({
      status: 404,
      json: { message: "no such path" },
    });
  });
});

test.each([
  "/docs/",
  "/docs/../openapi.json",
  "/docs/%2e%2e/openapi.json",
  "/openapi",
  "/openapi/session.json",
])("%s is no page", async (path) => {
  const { status } = await curl("--path-as-is", service.url + path);
  expect(status).toBe(404);
});

test("the documents are the committed ones, with the configured paths and cookie of Kratos", async () => {
  for (const [name, document] of documents) {
    const response = await fetch(
      service.url + (name === "session" ? "/openapi.json" : `/openapi/${name}.json`),
    );
    expect(response.headers.get("content-type")).toBe("application/json");
    const json: unknown = await response.json();
    const text = JSON.stringify(document)
      .replace('"/auth/sessions/{id}"', '"/accounts/sessions/{id}"')
      .replace('"ory_kratos_session"', '"session"');
    expect(json).toEqual(JSON.parse(text));
  }
});

test.each([
  ["127.0.0.1:8080", {}, true],
  ["[::1]:8080", {}, true],
  ["localhost:8080", {}, true],
  ["0.0.0.0:8080", {}, false],
  [":8080", {}, false],
  [":8080", { SESSIOND_DOCS: "on" }, true],
  ["127.0.0.1:8080", { SESSIOND_DOCS: "off" }, false],
])("listening on %s with %o, they are served: %s", (listen, environment, served) => {
  const read = readConfig({ SESSIOND_LISTEN: listen, SESSIOND_ALLOW_PLAINTEXT: "on", ...environment });
  expect(read).toMatchObject({ config: { docs: served } });
});

test("requests for pages are logged as answered", async () => {
  await fetch(`${service.url}/docs?api=kratos`);
  await expect
    .poll(() => service.log.find(({ method }) => method === "GET /docs"))
    .toMatchObject({ code: "Ok", http_status: 200 });
});
