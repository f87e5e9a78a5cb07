import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { percentDecode } from "../../../src/rest/binding/percent.ts";

describe("percentDecode", () => {
  test.each([
    ["a%2Fb", "a/b"],
    ["a+b", "a+b"],
    ["%25%32%46", "%2F"],
    ["%252F", "%2F"],
    ["%C3%BC", "ü"],
    ["%F0%9F%93%9A", "📚"],
    ["%ef%bb%bfx", "\ufeffx"],
    // Raw UTF-8 in a request target arrives as Latin-1.
    ["\u00c3\u00bc", "ü"],
    ["", ""],
  ])("%s is %s", (raw, decoded) => {
    expect(percentDecode(raw)).toBe(decoded);
  });

  test.each([
    "%",
    "%2",
    "%zz",
    "%%41",
    "a%",
    "%C3",
    "%C3%28",
    "%ED%A0%80",
    "%FF",
    "%00",
    "a\0",
    "\u00fc",
    "\u0100",
  ])("%j is refused", (raw) => {
    expect(percentDecode(raw)).toBeUndefined();
  });

  test("slashes can stay as written, in either case", () => {
    expect(percentDecode("a%2Fb%2fc/%41", "slash")).toBe("a%2Fb%2fc/A");
  });

  test("undoes encodeURIComponent, once (property)", () => {
    const text = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0"));
    fc.assert(
      fc.property(text, (text) => {
        expect(percentDecode(encodeURIComponent(text))).toBe(text);
      }),
    );
  });

  test("never throws (property)", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (raw) => {
        expect(["string", "undefined"]).toContain(typeof percentDecode(raw));
      }),
    );
  });
});
