import { type DescMessage, type JsonValue, fromJson, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { type Damage, anyDamage, anyJsonOf, damaged } from "./json-arbitrary.ts";
import { type Values, filledIn, known, sometimes, weighted } from "./texts.ts";

/** A message before it is encoded, and the faults to add. */
export interface FuzzMessage {
  readonly desc: DescMessage;
  readonly json: unknown;
  readonly text: TextFault;
  readonly binary: BinaryFault;
  readonly damage: Damage | null;
}

type TextFault = (typeof textFaults)[number];
const textFaults = [
  ...(["none", "twice", "deep", "deep list", "bom"] as const),
  ...(["digits", "long key", "proto", "large", "utf16"] as const),
] as const;

interface BinaryFault {
  /** Unknown fields, or known ones of any type. */
  readonly fields: readonly { readonly number: number; readonly type: number; readonly value: Uint8Array }[];
  /** Number of nested groups that are not closed. */
  readonly groups: number;
}

/** Mostly a valid message, often with a fault in one place. */
export function anyMessage(desc: DescMessage): fc.Arbitrary<FuzzMessage> {
  return fc.record({
    desc: fc.constant(desc),
    json: anyJsonOf(desc, known),
    text: weighted([12, fc.constant("none" as const)], [3, fc.constantFrom(...textFaults)]),
    binary: weighted([5, fc.constant({ fields: [], groups: 0 })], [1, anyBinaryFault]),
    damage: sometimes(anyDamage, 6),
  });
}

const anyBinaryFault: fc.Arbitrary<BinaryFault> = fc.record({
  fields: fc.array(
    fc.record({
      number: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constantFrom(19_000, 2 ** 29 - 1)),
      type: fc.nat(7),
      value: fc.uint8Array({ maxLength: 12 }),
    }),
    { maxLength: 3 },
  ),
  groups: fc.constantFrom(0, 0, 1, 99, 101, 5000),
});

/** The message as JSON, with its faults. */
export function jsonBytes(message: FuzzMessage, values: Values): Buffer {
  const text = filledIn(JSON.stringify(message.json) ?? "", values);
  return withDamage(faulty(text, message.text), message.damage);
}

/** The message in binary form, with its faults; the text of the JSON if this is not of the type. */
export function protoBytes({ desc, json, binary, damage }: FuzzMessage, values: Values): Buffer {
  const text = filledIn(JSON.stringify(json) ?? "null", values);
  let bytes: Uint8Array;
  try {
    const value: JsonValue = JSON.parse(text);
    bytes = toBinary(desc, fromJson(desc, value, { ignoreUnknownFields: true }));
  } catch {
    bytes = Buffer.from(text);
  }
  const fields = binary.fields.map(({ number, type, value }) =>
    Buffer.concat([varint(number * 8 + type), value]),
  );
  return withDamage(Buffer.concat([bytes, ...fields, Buffer.alloc(binary.groups, 0x0b)]), damage);
}

function withDamage(bytes: Buffer, damage: Damage | null): Buffer {
  return damage === null ? bytes : Buffer.from(damaged(bytes, damage));
}

function faulty(text: string, fault: TextFault): Buffer {
  switch (fault) {
    case "twice":
      return Buffer.from(text.replace(/^\{("[^"]*":[^,{[]*)([,}])/, "{$1,$1$2"));
    case "deep":
      return Buffer.from(`${'{"a":'.repeat(5000)}${text}${"}".repeat(5000)}`);
    case "deep list":
      return Buffer.from(text.replace(/:[^,]*/, `:${"[".repeat(101)}${"]".repeat(101)}`));
    case "none":
      return Buffer.from(text);
    case "bom":
      return Buffer.from(`\ufeff${text}`);
    case "digits":
      return Buffer.from(text.replace(/:[^,}]*/, `:${"9".repeat(400)}`));
    case "long key":
      return Buffer.from(text.replace(/^\{/, `{"${"k".repeat(50_000)}":1,`));
    case "proto":
      return Buffer.from(text.replace(/^\{/, '{"__proto__":{"a":1},"constructor":null,'));
    case "large":
      return Buffer.concat([Buffer.from(text), Buffer.alloc(100_000, " ")]);
    case "utf16":
      return Buffer.from(text, "utf16le");
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...bytes, rest]);
}
