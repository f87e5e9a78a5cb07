import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readActingUser } from "../../../src/auth/acting-user.ts";
import { characters, isStorable } from "../../../src/domain/ids.ts";

const invalid = expect.objectContaining({
  reason: "FIELD_INVALID",
  violations: [{ field: "acting-user", description: expect.any(String) }],
});
const names = fc.string({ unit: "binary", minLength: 1, maxLength: 300 });
const isGood = (text: string) =>
  text !== "" && characters(text) <= 255 && isStorable(text) && !/\p{Cc}/u.test(text);

/** Percent-encodes every byte, as a client may. */
function escaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}

describe("the header acting-user", () => {
  test("reads back every name that is accepted, however it is encoded, and refuses any other", () => {
    fc.assert(
      fc.property(names, (name) => {
        for (const encoded of [encodeURIComponent(name), escaped(Buffer.from(name))]) {
          if (isGood(name)) expect(readActingUser(encoded)).toBe(name);
          else expect(() => readActingUser(encoded)).toThrow(invalid);
        }
      }),
    );
  });

  test("reads bytes as UTF-8 or not at all", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (bytes) => {
        const text = Buffer.from(bytes).toString();
        const isUtf8 = Buffer.from(text).equals(bytes);
        if (isUtf8 && isGood(text)) expect(readActingUser(escaped(bytes))).toBe(text);
        else expect(() => readActingUser(escaped(bytes))).toThrow(invalid);
      }),
    );
  });

  test("never fails otherwise, for any value of a header", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."%%%,+ 0123456789abcdefABCDEFgz~é") }), (value) => {
        try {
          const name = readActingUser(value);
          expect(isGood(name)).toBe(true);
          expect(readActingUser(encodeURIComponent(name))).toBe(name);
        } catch (error) {
          expect(error).toEqual(invalid);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ["ada", "ada"],
    ["Ada%20Lovelace", "Ada Lovelace"],
    ["Ada Lovelace", "Ada Lovelace"],
    ["ada@example.com", "ada@example.com"],
    ["a+b", "a+b"],
    ["100%25", "100%"],
    ["a%2Cb", "a,b"],
    ["Zo%c3%ab", "Zoë"],
    [encodeURIComponent("😀".repeat(255)), "😀".repeat(255)],
  ])("reads %s", (encoded, name) => {
    expect(readActingUser(encoded)).toBe(name);
  });

  test.each([
    ["nothing", ""],
    ["a malformed escape", "100%"],
    ["an escape without digits", "%zz"],
    ["UTF-16 escapes", "%u0041"],
    ["bytes that are not UTF-8", "%ff"],
    ["an overlong form", "%c0%af"],
    ["half of a surrogate pair", "%ed%a0%80"],
    ["NUL", "a%00"],
    ["a line break", "a%0D%0Ab"],
    ["DEL", "%7f"],
    ["a control character of C1", "%c2%85"],
    ["a raw character that is not ASCII", "Zoë"],
    ["a tab", "a\tb"],
    ["two headers, which Node joins", "ada, bob"],
    ["two headers, one of them empty", ", ada"],
    ["256 characters", "a".repeat(256)],
    ["256 characters of four bytes", encodeURIComponent("😀".repeat(256))],
  ])("refuses %s", (_, encoded) => {
    expect(() => readActingUser(encoded)).toThrow(invalid);
  });
});
