import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  maxClaimsBytes,
  maxClaimsDepth,
  problemOfClaims,
} from "../../../../src/domain/sessions/custom-claims.ts";

/** Claims with this number of levels: the claims themselves and what `wrap` puts around a value. */
function nested(levels: number, wrap: (inner: JsonValue) => JsonValue): JsonObject {
  let value: JsonValue = 1;
  for (let level = 1; level < levels; level++) value = wrap(value);
  return { a: value };
}

const wraps: [name: string, wrap: (inner: JsonValue) => JsonValue][] = [
  ["objects", (a) => ({ a })],
  ["arrays", (a) => [a]],
  ["arrays beside other values", (a) => ["", null, a]],
];

test.each(wraps)("claims nested in %s are accepted up to 30 levels and refused from 31 on", (_, wrap) => {
  expect(maxClaimsDepth).toBe(30);
  expect(problemOfClaims(nested(30, wrap))).toBeUndefined();
  for (const levels of [31, 50, 98, 20_000]) {
    expect(problemOfClaims(nested(levels, wrap))).toBe("must be nested at most 30 levels deep");
  }
});

test("the bound on depth counts levels, not members", () => {
  const depthOf = (value: JsonValue): number =>
    typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;
  const claims = fc.dictionary(fc.constantFrom("a", "b"), fc.jsonValue({ maxDepth: 60 }));
  fc.assert(
    fc.property(claims, (given) => {
      const object = given as JsonObject;
      const isRefused = problemOfClaims(object)?.includes("levels") === true;
      expect(isRefused).toBe(depthOf(object) > maxClaimsDepth);
    }),
  );
});

test.each([
  [{ iss: "me" }, "must not have the key iss, which the JWT itself uses"],
  [{ a: ["b", { c: Number.NaN }] }, "must hold finite numbers only"],
  [{ a: Infinity }, "must hold finite numbers only"],
  [{ a: "\0" }, "must hold valid Unicode without NUL"],
  [{ "\ud800": 1 }, "must hold valid Unicode without NUL"],
  [{ a: "x".repeat(maxClaimsBytes - 7) }, "must have at most 4096 bytes as JSON"],
] as [JsonObject, string][])("refuses %j: %s", (claims, problem) => {
  expect(problemOfClaims(claims)).toBe(problem);
});

test.each([
  [{}],
  [{ a: "x".repeat(maxClaimsBytes - 8) }],
  [{ a: "\\u0000 \\ud800" }],
  [{ a: 1e308, b: -0, c: 0.1, d: 5e-324 }],
  [{ nested: { iss: "reserved names are reserved at the top level only" } }],
] as [JsonObject][])("accepts %j", (claims) => {
  expect(problemOfClaims(claims)).toBeUndefined();
});
