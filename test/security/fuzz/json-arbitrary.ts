import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";
import { weighted } from "./texts.ts";

/** Values that the service knows, such as ids that exist. */
export type Known = readonly string[];

const anyValue = fc.jsonValue({ maxDepth: 3 });
const anything = fc.dictionary(fc.string({ maxLength: 20 }), anyValue, { maxKeys: 2 });
const integers = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, 2 ** 53, 1e20, 0.5];
const longs = ["9223372036854775807", "-9223372036854775808", "9223372036854775808", "0x10", "1e3", ""];
const durations = "0s 1s -1s 3600s 0.000000001s 315576000000s -315576000000s 1e9s s".split(" ");
const dates = ["2026-01-01", "0001-01-01", "2026-02-30", "0000-01-01"];
const times = [...dates.map((date) => `${date}T00:00:00Z`), "9999-12-31T23:59:59.999999999Z", "now"];
const texts = ["", "\0", "\ud800", "a\udc00b", "'; drop table sessions; --", "%s%n", "../.."];

/** Known, random, empty and very long text, also with NUL and lone surrogates. */
export function anyText(known: Known): fc.Arbitrary<string> {
  return weighted(
    [4, fc.constantFrom(...known)],
    [2, fc.string({ unit: "grapheme-composite", maxLength: 12 })],
    [1, fc.string({ unit: "binary", maxLength: 12 })],
    [1, fc.constantFrom(...texts)],
    [1, fc.nat(20_000).map((length) => "x".repeat(length))],
  );
}

/** JSON, mostly of the type of the message. */
export function anyJsonOf(message: DescMessage, known: Known): fc.Arbitrary<unknown> {
  switch (message.typeName) {
    case "google.protobuf.Struct":
      return fc.dictionary(anyText(known), anyValue, { maxKeys: 3 });
    case "google.protobuf.Duration":
      return fc.oneof(fc.constantFrom(...durations), anyText(known));
    case "google.protobuf.Timestamp":
      return fc.oneof(fc.constantFrom(...times), anyText(known));
  }
  const fields = Object.fromEntries(
    message.fields.map((field) => [field.jsonName, anyJsonOfField(field, known)]),
  );
  const valid = fc.record(fields, { requiredKeys: [] });
  return weighted(
    [12, valid],
    [1, fc.tuple(valid, anything).map(([a, b]) => ({ ...a, ...b }))],
    [1, anyValue],
  );
}

function anyJsonOfField(field: DescField, known: Known): fc.Arbitrary<unknown> {
  const one = anyJsonOfOne(field, known);
  const value = field.fieldKind === "list" ? fc.array(one, { maxLength: 4 }) : one;
  return weighted([15, value], [1, anyValue]);
}

function anyJsonOfOne(field: DescField, known: Known): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return anyJsonOf(field.message, known);
  if (field.enum !== undefined) {
    return fc.oneof(
      fc.constantFrom(...field.enum.values.map((value) => value.name)),
      fc.constantFrom(...integers, "UNKNOWN"),
    );
  }
  switch (field.scalar) {
    case ScalarType.STRING:
      return anyText(known);
    case ScalarType.BOOL:
      return fc.boolean();
    default:
      return fc.oneof(fc.constantFrom(...integers, ...longs), fc.integer());
  }
}

/** Damage to bytes: some change, those from `length` on are lost, some are added. */
export interface Damage {
  readonly changes: readonly { readonly at: number; readonly value: number }[];
  readonly length: number | null;
  readonly more: Uint8Array;
}

/** Places are modulo the length. */
export const anyDamage: fc.Arbitrary<Damage> = fc.record({
  changes: fc.array(fc.record({ at: fc.nat(), value: fc.nat(255) }), { maxLength: 4 }),
  length: fc.option(fc.nat()),
  more: fc.uint8Array({ maxLength: 20 }),
});

export function damaged(bytes: Uint8Array, { changes, length, more }: Damage): Uint8Array {
  const kept = length === null ? bytes : bytes.subarray(0, length % (bytes.length + 1));
  const copy = Buffer.concat([kept, more]);
  for (const { at, value } of changes) if (copy.length > 0) copy[at % copy.length] = value;
  return copy;
}
