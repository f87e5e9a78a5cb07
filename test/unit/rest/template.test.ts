import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseTemplate } from "../../../src/rest/routes/template.ts";

const shape = (text: string): string => {
  const { segments, verb } = parseTemplate(text);
  const path = segments.map((segment) =>
    segment.kind === "literal" ? segment.text : segment.kind === "any" ? "*" : "**",
  );
  return `/${path.join("/")}${verb === undefined ? "" : `:${verb}`}`;
};

describe("a template of the grammar", () => {
  test.each([
    ["/v1/books", "/v1/books"],
    ["/v1/*", "/v1/*"],
    ["/**", "/**"],
    ["/v1/**:verb", "/v1/**:verb"],
    ["/v1/{name}", "/v1/*"],
    ["/v1/{name=*}", "/v1/*"],
    ["/v1/{name=**}", "/v1/**"],
    ["/v1/{name=shelves/*}/books", "/v1/shelves/*/books"],
    ["/v1/{a.b_c.d=x/**}:go", "/v1/x/**:go"],
    ["/v1/{a}/{b}:verb", "/v1/*/*:verb"],
    ["/a%2Fb/~._-", "/a%2Fb/~._-"],
  ])("%s parses", (text, expected) => {
    expect(shape(text)).toBe(expected);
  });

  test("gives the segments that a variable captures", () => {
    expect(parseTemplate("/v1/{a=x/*}/{b}/{c=y/**}").variables).toEqual([
      { fieldPath: "a", start: 1, end: 3, multiSegment: true },
      { fieldPath: "b", start: 3, end: 4, multiSegment: false },
      { fieldPath: "c", start: 4, end: undefined, multiSegment: true },
    ]);
  });
});

describe("a template outside the grammar is refused with its place", () => {
  test.each([
    ["", "must begin with a slash"],
    ["v1", "must begin with a slash"],
    ["/", "empty segment"],
    ["/v1/", "empty segment"],
    ["/v1//x", "empty segment"],
    ["/v1/**/x", "must be the last segment"],
    ["/{a=**}/x", "must be the last segment"],
    ["/v1/{a", "is not closed"],
    ["/v1/{a=x", "is not closed"],
    ["/v1/{}", "is not a field path"],
    ["/v1/{a.}", "is not a field path"],
    ["/v1/{a-b}", "is not a field path"],
    ["/v1/{a={b}}", "empty segment"],
    ["/v1/{a=x/{b}}", "empty segment"],
    ["/v1/{a=}", "empty segment"],
    ["/v1/x:", "empty verb"],
    ["/v1/x:a:b", `unexpected ":"`],
    ["/v1/x:a/b", `unexpected "/"`],
    ["/v1/a*", `unexpected "*"`],
    ["/v1/***", `unexpected "*"`],
    ["/v1/x{a}", `unexpected "{"`],
    ["/v1/{a}x", `unexpected "x"`],
    ["/v1/a b", "percent-encoded"],
    ["/v1/a?b", "percent-encoded"],
    ["/v1/ü", "percent-encoded"],
    ["/v1/%2", "percent-encoded"],
    ["/v1/}", "empty segment"],
  ])("%s", (text, reason) => {
    expect(() => parseTemplate(text)).toThrow(reason);
  });

  test("any text gives a template or an Error (property)", () => {
    const soup = fc.array(
      fc.constantFrom("/", "*", "**", "{", "}", "=", ":", ".", "a", "b", "%2F", "%", " "),
    );
    fc.assert(
      fc.property(soup, (parts) => {
        const text = parts.join("");
        expect(outcomeOf(text)).toContain(text);
      }),
    );
  });
});

function outcomeOf(text: string): string {
  try {
    return parseTemplate(text).text;
  } catch (error) {
    return error instanceof Error ? error.message : "not an Error";
  }
}
