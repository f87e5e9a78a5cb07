import { StructSchema } from "@bufbuild/protobuf/wkt";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkMessage } from "../../../src/rest/binding/json-check.ts";
import { parseJsonBody } from "../../../src/rest/binding/json-parse.ts";
import { exactInteger, isKept } from "../../../src/rest/binding/numbers.ts";

/** The number that a Struct holds for this JSON; undefined if it is refused. */
function held(text: string): number | undefined {
  try {
    const json = parseJsonBody(Buffer.from(`{"a": ${text}}`));
    const options = { unknownMembers: "refuse", registry: undefined } as const;
    return (checkMessage(StructSchema, json, options) as { readonly a: number }).a;
  } catch {
    return undefined;
  }
}

describe("a Struct", () => {
  test.each([
    // Integers that a double changes, in every spelling.
    "9007199254740993",
    "-9007199254740993",
    "1125899906842624123",
    "9223372036854775807",
    "12345678901234567890",
    "9007199254740993.0",
    "9.007199254740993e15",
    "1.125899906842624123e18",
    "90071992547409930e-1",
    // A double holds it, but 9223372036854776000 is what is read back.
    "9223372036854775808",
    "123456789012345678901234567890",
    "1.23456789012345678901e300",
    // Fractions whose digits are lost.
    "3.141592653589793238",
    "9007199254740993.5",
    "123456789.123456789",
    "0.1234567890123456789",
    "1.00000000000000000001",
    "9007199254740990.9",
    // Out of range.
    "1e400",
    "-1e400",
    "1e9999999999",
    "1e-400",
    "0.1e-399",
    "4.9e-324",
  ])("refuses %s", (text) => {
    expect(held(text)).toBeUndefined();
  });

  test.each([
    "0",
    "-0",
    "0.0",
    "0e999",
    "1e2",
    "1.0",
    "0.1",
    "-0.1e1",
    "3.141592653589793",
    "0.30000000000000004",
    "0.10000000000000001",
    "9007199254740991",
    "9007199254740992",
    "9007199254740994",
    "1e18",
    "1e23",
    "9.9999999999999992e22",
    "1.7976931348623157e308",
    "5e-324",
    "2.2250738585072014e-308",
    "12345678.123456789",
  ])("takes %s", (text) => {
    expect(held(text)).toBe(Number(text));
  });

  const double = fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => value !== 0);

  test("takes every double as programs write it (property)", () => {
    expect(
      fc.check(fc.property(double, (value) => held(JSON.stringify(value)) === value)).counterexample,
    ).toBeNull();
  });

  test("takes every fraction as %.17g writes it (property)", () => {
    const fraction = double.filter((value) => !Number.isInteger(value) && Math.abs(value) >= 2 ** -1022);
    expect(
      fc.check(fc.property(fraction, (value) => held(value.toExponential(16)) === value)).counterexample,
    ).toBeNull();
  });

  test("never changes an integer, and takes every one up to 2^53 (property)", () => {
    const isRight = (value: bigint) => {
      const read = held(String(value));
      return read === undefined
        ? value > 2n ** 53n || value < -(2n ** 53n)
        : exactInteger(`${read}`) === value;
    };
    const integer = fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n });
    expect(fc.check(fc.property(integer, isRight)).counterexample).toBeNull();
    expect(fc.check(fc.property(fc.maxSafeInteger(), (value) => isRight(BigInt(value)))).failed).toBe(false);
  });
});

test("numbers of a megabyte take linear time", () => {
  const zeros = "0".repeat(1_000_000);
  const started = performance.now();
  expect(isKept(`1${zeros}1`)).toBe(false);
  expect(isKept(`0.${zeros}1`)).toBe(false);
  expect(exactInteger(`1.${zeros}`)).toBe(1n);
  expect(exactInteger(`1${zeros}1`)).toBeUndefined();
  expect(performance.now() - started).toBeLessThan(1000);
});
