import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";

/** Values with a meaning to the service under attack, such as ids that exist. */
export type Known = readonly string[];

const anyValue = fc.jsonValue({ maxDepth: 3 });
const anything = fc.dictionary(fc.string({ maxLength: 20 }), anyValue, { maxKeys: 2 });
const integers = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, 2 ** 53, 1e20, 0.5];
const longs = ["9223372036854775807", "-9223372036854775808", "9223372036854775808", "0x10", "1e3", ""];
const durations = [
  "0s",
  "1s",
  "-1s",
  "3600s",
  "0.000000001s",
  "315576000000s",
  "-315576000000s",
  "1e9s",
  "s",
];
const times = [
  "2026-01-01T00:00:00Z",
  "0001-01-01T00:00:00Z",
  "9999-12-31T23:59:59.999999999Z",
  "2026-02-30T00:00:00Z",
  "0000-01-01T00:00:00Z",
  "now",
];

/** Text of every kind: empty, known, random, very long, with NUL, with halves of surrogate pairs. */
export function anyText(known: Known): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...known) },
    { weight: 2, arbitrary: fc.string({ unit: "grapheme-composite", maxLength: 12 }) },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "",
        "\0",
        "\ud800",
        "a\udc00b",
        "'; drop table sessions; --",
        "%s%n",
        "../..",
      ),
    },
    { weight: 1, arbitrary: fc.nat(20_000).map((length) => "x".repeat(length)) },
  );
}

/** JSON that is mostly of the message's type, and often not. */
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
  const right = fc.record(fields, { requiredKeys: [] });
  return fc.oneof(
    { weight: 12, arbitrary: right },
    { weight: 1, arbitrary: fc.tuple(right, anything).map(([a, b]) => ({ ...a, ...b })) },
    { weight: 1, arbitrary: anyValue },
  );
}

function anyJsonOfField(field: DescField, known: Known): fc.Arbitrary<unknown> {
  const one = anyJsonOfOne(field, known);
  const value = field.fieldKind === "list" ? fc.array(one, { maxLength: 4 }) : one;
  return fc.oneof({ weight: 15, arbitrary: value }, { weight: 1, arbitrary: anyValue });
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

/** What happens to bytes on their way: some change, some are lost from `length` on, some are added. */
export interface Damage {
  readonly changes: readonly { readonly at: number; readonly value: number }[];
  readonly length: number | null;
  readonly more: Uint8Array;
}

/** Any damage; places are counted anew from the start after the end. */
export const anyDamage: fc.Arbitrary<Damage> = fc.record({
  changes: fc.array(fc.record({ at: fc.nat(), value: fc.nat(255) }), { maxLength: 4 }),
  length: fc.option(fc.nat()),
  more: fc.uint8Array({ maxLength: 20 }),
});

/** The bytes after the damage. */
export function damaged(bytes: Uint8Array, { changes, length, more }: Damage): Uint8Array {
  const kept = length === null ? bytes : bytes.subarray(0, length % (bytes.length + 1));
  const copy = Buffer.concat([kept, more]);
  for (const { at, value } of changes) if (copy.length > 0) copy[at % copy.length] = value;
  return copy;
}
