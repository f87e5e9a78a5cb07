import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescOneof,
  type JsonObject,
  type JsonValue,
  type Registry,
  ScalarType,
} from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { badRequest } from "../errors/failure.ts";
import type { ExactJson } from "./json-text.ts";
import { shownName } from "../errors/shown-name.ts";
import { isBase64, isDuration, isFloat, isQuotedInteger, isTimestamp } from "./text-form.ts";

/** How the JSON of a body is read. */
export interface JsonCheckOptions {
  readonly unknownMembers: "refuse" | "ignore";
  /** Types that may stand in a google.protobuf.Any. */
  readonly registry: Registry | undefined;
}

/**
 * Walks a JSON value along the message type it shall become, and gives the value protobuf-es may read: unknown members
 * removed (if the dialect ignores them), big integers exact. Throws a 400 refusal that names the place for what
 * protobuf-es would take silently: unknown enum names (it drops them when unknown fields are ignored), NUL in text,
 * hex integers, impossible dates; and for wrong types, where its own message would repeat the value.
 */
export function checkMessage(
  message: DescMessage,
  json: ExactJson,
  at: string,
  options: JsonCheckOptions,
): JsonValue {
  switch (message.typeName) {
    case "google.protobuf.Timestamp":
      return checkText(json, at, isTimestamp, "a time as RFC 3339 writes it");
    case "google.protobuf.Duration":
      return checkText(json, at, isDuration, `seconds with an "s", like "1.5s"`);
    case "google.protobuf.FieldMask":
      return checkText(
        json,
        at,
        (text) => /^[A-Za-z0-9.,]*$/.test(text),
        "comma-separated lowerCamelCase field paths",
      );
    case "google.protobuf.Any":
      return checkAny(json, at, options);
    case "google.protobuf.Struct":
    case "google.protobuf.Value":
    case "google.protobuf.ListValue":
      return checkFree(json, at);
  }
  const value = message.fields[0];
  if (isWrapperDesc(message) && value?.fieldKind === "scalar") {
    return json === null ? null : checkScalar(value.scalar, json, at);
  }
  return checkMembers(message, asObject(json, at), at, options);
}

function checkMembers(
  message: DescMessage,
  object: { readonly [key: string]: ExactJson },
  at: string,
  options: JsonCheckOptions,
): JsonValue {
  const fields = fieldsByName(message);
  const checked: [key: string, value: JsonValue][] = [];
  let isAsGiven = true;
  const seen = new Set<DescField>();
  const members = new Map<DescOneof, DescField>();
  for (const [key, value] of Object.entries(object)) {
    const field = fields.get(key);
    const place = join(at, key);
    if (field === undefined) {
      if (options.unknownMembers === "refuse") throw badRequest("body", place, "unknown member");
      isAsGiven = false;
      continue;
    }
    if (seen.has(field)) {
      throw badRequest("body", place, "given twice, under its proto name and its JSON name");
    }
    seen.add(field);
    if (field.oneof !== undefined && (value !== null || takesNull(field))) {
      const other = members.get(field.oneof);
      if (other !== undefined) {
        throw badRequest("body", place, `excludes "${other.name}", which is given too`);
      }
      members.set(field.oneof, field);
    }
    const read = checkField(field, value, place, options);
    isAsGiven &&= read === value;
    checked.push([key, read]);
  }
  // Most are, and need no copy.
  return isAsGiven ? (object as JsonObject) : Object.fromEntries(checked);
}

const fieldsOf = new WeakMap<DescMessage, ReadonlyMap<string, DescField>>();

/** The fields of a message by proto name and by JSON name; where two claim one name, the first has it. */
function fieldsByName(message: DescMessage): ReadonlyMap<string, DescField> {
  let fields = fieldsOf.get(message);
  if (fields === undefined) {
    const named = message.fields.flatMap((field) => [
      [field.name, field] as const,
      [field.jsonName, field] as const,
    ]);
    fields = new Map(named.toReversed());
    fieldsOf.set(message, fields);
  }
  return fields;
}

/** Checks the JSON of one field; null stands for absence, except where null is a value. */
export function checkField(
  field: DescField,
  json: ExactJson,
  at: string,
  options: JsonCheckOptions,
): JsonValue {
  if (json === null && !takesNull(field)) return null;
  switch (field.fieldKind) {
    case "scalar":
    case "enum":
    case "message":
      return checkSingle(field, json, at, options);
    case "list":
      if (!Array.isArray(json)) throw badRequest("body", at, "expected an array");
      return json.map((item: ExactJson, index) => checkSingle(field, item, `${at}[${index}]`, options));
    case "map":
      return Object.fromEntries(
        Object.entries(asObject(json, at)).map(([key, value]) => [
          checkString(key, at),
          checkSingle(field, value, join(at, key), options),
        ]),
      );
  }
}

function checkSingle(field: DescField, json: ExactJson, at: string, options: JsonCheckOptions): JsonValue {
  if (field.message !== undefined) return checkMessage(field.message, json, at, options);
  if (field.enum !== undefined) return checkEnum(field.enum, json, at);
  return checkScalar(field.scalar, json, at);
}

function takesNull(field: DescField): boolean {
  return (
    field.message?.typeName === "google.protobuf.Value" ||
    field.enum?.typeName === "google.protobuf.NullValue"
  );
}

function checkEnum(type: DescEnum, json: ExactJson, at: string): JsonValue {
  const isKnown =
    typeof json === "string"
      ? type.values.some((value) => value.name === json || value.jsonName === json)
      : typeof json === "number"
        ? Number.isInteger(json)
        : json === null && type.typeName === "google.protobuf.NullValue";
  if (!isKnown || typeof json === "bigint") {
    throw badRequest("body", at, `expected a value of the enum ${type.name}`);
  }
  return json as JsonValue;
}

function checkScalar(scalar: ScalarType, json: ExactJson, at: string): JsonValue {
  switch (scalar) {
    case ScalarType.STRING:
      return checkString(json, at);
    case ScalarType.BOOL:
      if (typeof json !== "boolean") throw badRequest("body", at, "expected true or false");
      return json;
    case ScalarType.BYTES:
      return checkText(json, at, isBase64, "base64");
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      if (typeof json === "bigint" || typeof json === "number") return Number(json);
      return checkText(json, at, isFloat, "a number");
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return typeof json === "number" ? json : checkText(json, at, isQuotedInteger, "an integer");
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      if (typeof json === "bigint") return json.toString();
      if (typeof json === "number" && !Number.isSafeInteger(json)) {
        throw badRequest("body", at, "expected an integer; write a large one in quotes");
      }
      return typeof json === "number" ? json : checkText(json, at, isQuotedInteger, "an integer");
  }
}

function checkAny(json: ExactJson, at: string, options: JsonCheckOptions): JsonValue {
  const { "@type": typeUrl, ...members } = asObject(json, at);
  if (typeUrl === undefined && Object.keys(members).length === 0) {
    return {};
  }
  const type = checkText(typeUrl ?? null, join(at, "@type"), () => true, "a type URL");
  const message = options.registry?.getMessage(type.slice(type.lastIndexOf("/") + 1));
  if (message === undefined) throw badRequest("body", join(at, "@type"), "a type that is not known here");
  const isWellKnown = message.typeName.startsWith("google.protobuf.") && members["value"] !== undefined;
  const checked = isWellKnown
    ? { value: checkMessage(message, members["value"] ?? null, join(at, "value"), options) }
    : checkMembers(message, members, at, options);
  return { "@type": type, ...(checked as Record<string, JsonValue>) };
}

/** A Struct, Value or ListValue holds any JSON. */
function checkFree(json: ExactJson, at: string): JsonValue {
  if (typeof json === "string") return checkString(json, at);
  if (typeof json === "bigint") return Number(json);
  if (typeof json === "number" && !Number.isFinite(json)) {
    throw badRequest("body", at, "a number too large for a double");
  }
  if (json === null || typeof json !== "object") return json;
  if (Array.isArray(json)) {
    return json.map((item: ExactJson, index) => checkFree(item, `${at}[${index}]`));
  }
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => [checkString(key, at), checkFree(value, join(at, key))]),
  );
}

function checkString(json: ExactJson, at: string): string {
  const text = checkText(json, at, () => true, "a string");
  if (text.includes("\0")) throw badRequest("body", at, "a NUL character cannot be stored");
  if (!text.isWellFormed()) throw badRequest("body", at, "half a surrogate pair is no character");
  return text;
}

function checkText(
  json: ExactJson,
  at: string,
  isRight: (text: string) => boolean,
  expected: string,
): string {
  if (typeof json !== "string" || !isRight(json)) {
    throw badRequest("body", at, `expected ${expected}`);
  }
  return json;
}

function asObject(json: ExactJson, at: string): { readonly [key: string]: ExactJson } {
  if (json === null || typeof json !== "object" || Array.isArray(json)) {
    throw badRequest("body", at === "" ? undefined : at, "expected a JSON object");
  }
  return json as { readonly [key: string]: ExactJson };
}

function join(at: string, key: string): string {
  return at === "" ? shownName(key) : `${at}.${shownName(key)}`;
}
