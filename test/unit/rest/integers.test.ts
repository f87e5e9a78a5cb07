import { type DescMessage, create, createFileRegistry, fromJson } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { checkMessage } from "../../../src/rest/binding/json-check.ts";
import { parseJsonBody } from "../../../src/rest/binding/json-parse.ts";
import { bindQuery, parseQuery } from "../../../src/rest/binding/query.ts";

const types: [name: string, type: Type, min: bigint, max: bigint][] = [
  ["int32", Type.INT32, -(2n ** 31n), 2n ** 31n - 1n],
  ["sint32", Type.SINT32, -(2n ** 31n), 2n ** 31n - 1n],
  ["sfixed32", Type.SFIXED32, -(2n ** 31n), 2n ** 31n - 1n],
  ["uint32", Type.UINT32, 0n, 2n ** 32n - 1n],
  ["fixed32", Type.FIXED32, 0n, 2n ** 32n - 1n],
  ["int64", Type.INT64, -(2n ** 63n), 2n ** 63n - 1n],
  ["sint64", Type.SINT64, -(2n ** 63n), 2n ** 63n - 1n],
  ["sfixed64", Type.SFIXED64, -(2n ** 63n), 2n ** 63n - 1n],
  ["uint64", Type.UINT64, 0n, 2n ** 64n - 1n],
  ["fixed64", Type.FIXED64, 0n, 2n ** 64n - 1n],
];

describe.each(types)("%s", (_name, type, min, max) => {
  const message = messageOf(type);
  const outcome = (value: bigint): bigint | "refused" => (value >= min && value <= max ? value : "refused");

  const digits: [text: string, value: bigint][] = [
    ["0", 0n],
    ["-0", 0n],
    ["1", 1n],
    ["-1", -1n],
    ["9007199254740993", 2n ** 53n + 1n],
    ...[min, min - 1n, max, max + 1n].map((value): [string, bigint] => [value.toString(), value]),
  ];
  const spellings: [text: string, value: bigint][] = [
    ["1.0", 1n],
    ["1e2", 100n],
    ["1E+2", 100n],
    ["1.50e1", 15n],
    ["100e-2", 1n],
    ["0e9999", 0n],
    ["1e18", 10n ** 18n],
    ["1e20", 10n ** 20n],
    ["1.8446744073709551615e19", 2n ** 64n - 1n],
    ["123456789.123456789e9", 123456789123456789n],
    ["9007199254740993.0", 2n ** 53n + 1n],
  ];
  const fractions = ["1.5", "1e-1", "9007199254740993.5", "1e999", "-1e999"];
  const otherText = ["", " 1", "1 ", "+1", "0x10", "1_000", "1.", ".5", "1e", "NaN", "Infinity", "one", "٣"];

  test.each(
    [...digits, ...spellings].flatMap(([text, value]) => [
      [text, value] as const,
      [`"${text}"`, value] as const,
    ]),
  )("a body with %s", (json, value) => {
    expect(read(() => bodyOf(message, json))).toBe(outcome(value));
  });

  const notIntegers = [...fractions, ...[...fractions, ...otherText].map((text) => JSON.stringify(text))];
  test.each([...notIntegers, "true", "[1]", "{}"])("refuses a body with %s", (json) => {
    expect(read(() => bodyOf(message, json))).toBe("refused");
  });

  test.each([...digits, ...spellings])("a query with %s", (text, value) => {
    expect(read(() => queryOf(message, text))).toBe(outcome(value));
  });

  test.each([...fractions, ...otherText])("refuses a query with %j", (text) => {
    expect(read(() => queryOf(message, text))).toBe("refused");
  });
});

/** Describes a message whose only field is `value`. */
function messageOf(type: Type): DescMessage {
  const field = { name: "value", jsonName: "value", number: 1, type, label: Label.OPTIONAL };
  const messageType = [{ name: "Holder", field: [field] }];
  const file = create(FileDescriptorProtoSchema, { name: "holder.proto", syntax: "proto3", messageType });
  const message = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] })).getMessage("Holder");
  if (message === undefined) throw new Error("the registry has no Holder");
  return message;
}

function bodyOf(desc: DescMessage, json: string): ReflectMessage {
  const parsed = parseJsonBody(Buffer.from(`{"value": ${json}}`));
  const checked = checkMessage(desc, parsed, { unknownMembers: "refuse", registry: undefined });
  return reflect(desc, fromJson(desc, checked));
}

function queryOf(desc: DescMessage, text: string): ReflectMessage {
  const root = reflect(desc);
  const query = parseQuery(`value=${encodeURIComponent(text)}`);
  bindQuery(root, query, { isOpen: true, isClaimed: () => false, unknown: "refuse" });
  return root;
}

function read(bind: () => ReflectMessage): unknown {
  try {
    const message = bind();
    const [field] = message.fields;
    return field && BigInt(message.get(field) as bigint | number);
  } catch {
    return "refused";
  }
}
