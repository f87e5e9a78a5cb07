import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RouteTable } from "../../../src/rest/routes/route-table.ts";
import { type Template, parseTemplate } from "../../../src/rest/routes/template.ts";

interface Entry {
  readonly httpMethod: string;
  readonly template: Template;
}

const entry = (route: string): Entry => {
  const [httpMethod = "", path = ""] = route.split(" ");
  return { httpMethod, template: parseTemplate(path) };
};

function matcher(
  routes: readonly string[],
  reservedPaths: readonly string[] = [],
): (request: string) => string {
  const table = new RouteTable<Entry>(reservedPaths);
  for (const route of routes) table.add(entry(route));
  return (request) => {
    const [method = "", path = ""] = request.split(" ");
    const match = table.match(method, path);
    switch (match.kind) {
      case "found":
        return `${match.route.httpMethod} ${match.route.template.text}`;
      case "method_not_allowed":
        return `405 ${match.allow.join(", ")}`;
      case "not_found":
        return "404";
    }
  };
}

const routes = [
  "GET /v1/*",
  "GET /v1/books",
  "DELETE /v1/*",
  "POST /v1/*:go",
  "GET /v1/books/**",
  "GET /v1/*/new",
  "PUT /v1/books/*/pages",
  "GET /v1/*/x/**:pack",
  "* /any",
  "GET /any",
  "GET /lit%2Feral",
];

describe("matching", () => {
  test.each([
    ["GET /v1/books", "GET /v1/books"],
    ["GET /v1/other", "GET /v1/*"],
    // The literal has no DELETE, so the next best shape is tried.
    ["DELETE /v1/books", "DELETE /v1/*"],
    ["PUT /v1/books", "405 DELETE, GET"],
    ["GET /v1/books/new", "GET /v1/books/**"],
    ["GET /v1/films/new", "GET /v1/*/new"],
    ["GET /v1/films/old", "404"],
    ["PUT /v1/books/a/pages", "PUT /v1/books/*/pages"],
    ["GET /v1/books/a/pages", "GET /v1/books/**"],
    ["PUT /v1/books/a/b", "405 GET"],
    // If some template has the verb, it is a verb for every method.
    ["POST /v1/a:go", "POST /v1/*:go"],
    ["GET /v1/a:go", "405 POST"],
    ["GET /v1/a:stop", "GET /v1/*"],
    ["GET /v1/a:", "GET /v1/*"],
    ["POST /v1/a:b:go", "POST /v1/*:go"],
    ["GET /v1/a%3Ago", "GET /v1/*"],
    // No segment is left for the star, so the colon belongs to the segment.
    ["POST /v1/:go", "405 DELETE, GET"],
    ["GET /v1/a/x:pack", "GET /v1/*/x/**:pack"],
    ["GET /v1/a/x/b/c:pack", "GET /v1/*/x/**:pack"],
    // `**` matches zero segments as well; empty segments are data.
    ["GET /v1/books/", "GET /v1/books/**"],
    ["GET /v1/books//a/../b/", "GET /v1/books/**"],
    // `*` does not match an empty segment; dots are data.
    ["GET /v1/", "404"],
    ["GET /v1//new", "404"],
    ["GET /v1/.", "GET /v1/*"],
    ["GET /v1/..", "GET /v1/*"],
    ["GET //v1/books", "404"],
    ["GET /V1/books", "404"],
    ["GET /v1/%62ooks", "GET /v1/*"],
    ["GET /", "404"],
    ["GET *", "404"],
    ["GET ", "404"],
    ["GET /any", "GET /any"],
    ["BREW /any", "* /any"],
    ["get /v1/books", "405 DELETE, GET"],
    ["GET /lit%2Feral", "GET /lit%2Feral"],
    ["GET /lit/eral", "404"],
  ])("%s gives %s in any order of registration", (request, expected) => {
    expect(matcher(routes)(request)).toBe(expected);
    expect(matcher(routes.toReversed())(request)).toBe(expected);
  });

  test.each([
    ["GET /v1/{a}/x", "GET /v1/{b}/x"],
    ["GET /v1/{a=**}", "GET /v1/**"],
  ])("refuses two routes of one method and shape: %s and %s", (first, second) => {
    expect(() => matcher([first, second])).toThrow(`${second} has the same shape as ${first}`);
  });

  test("accepts routes that differ in method, shape or verb", () => {
    expect(() => matcher(["GET /v1/*", "GET /v1/*:v", "POST /v1/*", "GET /v1/**"])).not.toThrow();
  });
});

describe("reserved paths", () => {
  const match = matcher(["GET /**", "* /pkg.Service/*"], ["/healthz", "/pkg.Service/Get"]);

  test.each([
    ["GET /healthz", "404"],
    ["PUT /healthz", "404"],
    ["POST /pkg.Service/Get", "404"],
    ["POST /pkg.Service/Other", "* /pkg.Service/*"],
    ["GET /healthz/x", "GET /**"],
    ["GET /health", "GET /**"],
  ])("win over wildcards: %s gives %s", (request, expected) => {
    expect(match(request)).toBe(expected);
  });

  test("refuse a template that equals one", () => {
    expect(() => matcher(["GET /healthz"], ["/healthz"])).toThrow("reserved path /healthz");
  });
});

/** Whether a template matches a path. Slow and simple: the reference for the trie. */
function fits(template: Template, path: string): boolean {
  const segments = path.slice(1).split("/");
  if (template.verb !== undefined) {
    const last = segments.pop() ?? "";
    if (!last.endsWith(`:${template.verb}`)) return false;
    segments.push(last.slice(0, -template.verb.length - 1));
  }
  for (const [index, segment] of template.segments.entries()) {
    const actual = segments[index];
    if (segment.kind === "rest") return true;
    if (actual === undefined || (segment.kind === "any" ? actual === "" : actual !== segment.text)) {
      return false;
    }
  }
  return segments.length === template.segments.length;
}

const rank = ({ segments }: Template): string =>
  segments.map(({ kind }) => (kind === "literal" ? "0" : kind === "any" ? "1" : "2")).join("");

test("finds the same route as trying every template (property)", () => {
  const word = fc.constantFrom("a", "b", "*");
  const template = fc
    .tuple(fc.array(word, { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([words, rest]) => `/${words.join("/")}${rest ? "/**" : ""}`);
  const path = fc
    .array(fc.constantFrom("a", "b", "c", "", ".", "a:b"), { minLength: 1, maxLength: 5 })
    .map((segments) => `/${segments.join("/")}`);
  fc.assert(
    fc.property(fc.uniqueArray(template, { maxLength: 12 }), path, (templates, path) => {
      const best = templates
        .map(parseTemplate)
        .filter((template) => fits(template, path))
        .sort((a, b) => (rank(a) < rank(b) ? -1 : 1))[0];
      const expected = best === undefined ? "404" : `GET ${best.text}`;
      expect(matcher(templates.map((text) => `GET ${text}`))(`GET ${path}`)).toBe(expected);
    }),
  );
});
