import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readActingUser } from "../../../src/auth/acting-user.ts";
import { SessiondError } from "../../../src/domain/errors.ts";
import { characters, isStorable } from "../../../src/domain/ids.ts";

const names = fc.string({ unit: "binary", minLength: 1, maxLength: 300 });
const isGood = (text: string) =>
  text !== "" && characters(text) <= 255 && isStorable(text) && !/\p{Cc}/u.test(text);

/** Percent-encodes every byte, as a client may. */
function escaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}

/** The name that a value of the header stands for, or the name of the field that is invalid. */
function outcomeOf(encoded: string): { readonly name: string } | { readonly invalid: readonly string[] } {
  try {
    return { name: readActingUser(encoded) };
  } catch (error) {
    if (!(error instanceof SessiondError) || error.reason !== "FIELD_INVALID") throw error;
    return { invalid: error.violations.map(({ field }) => field) };
  }
}

const refused = { invalid: ["acting-user"] };

describe("the header acting-user", () => {
  test("reads back every name that is accepted, however it is encoded, and refuses any other", () => {
    const property = fc.property(names, (name) => {
      const outcome = isGood(name) ? { name } : refused;
      expect(outcomeOf(encodeURIComponent(name))).toEqual(outcome);
      expect(outcomeOf(escaped(Buffer.from(name)))).toEqual(outcome);
    });
    fc.assert(property);
  });

  test("reads bytes as UTF-8 or not at all", () => {
    const property = fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (bytes) => {
      const name = Buffer.from(bytes).toString();
      const isUtf8 = Buffer.from(name).equals(bytes);
      expect(outcomeOf(escaped(bytes))).toEqual(isUtf8 && isGood(name) ? { name } : refused);
    });
    fc.assert(property);
  });

  test("is read or refused, whatever its value is", () => {
    const values = fc.string({ unit: fc.constantFrom(...Array.from("%%%,+ 0123456789abcdefABCDEFgz~é")) });
    const property = fc.property(values, (value) => {
      const outcome = outcomeOf(value);
      const repeated = "name" in outcome ? outcomeOf(encodeURIComponent(outcome.name)) : refused;
      expect(repeated).toEqual(outcome);
    });
    fc.assert(property, { numRuns: 1000 });
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
    expect(outcomeOf(encoded)).toEqual({ name });
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
    expect(outcomeOf(encoded)).toEqual(refused);
  });
});
