import { type DescEnum, type JsonValue, ScalarType } from "@bufbuild/protobuf";
import { WrittenNumber, exactInteger, isKept } from "./numbers.ts";

/** JSON in which no number has changed. */
export type ExactJson =
  | null
  | boolean
  | number
  | WrittenNumber
  | string
  | readonly ExactJson[]
  | { readonly [key: string]: ExactJson };

/** A value that does not fit its field. The message must not repeat the value, which may be a secret. */
export class ValueError extends Error {
  override readonly name = "ValueError";
}

/** Text form of a type. protobuf-es is more lenient: it reads "1sfoo" as a Duration and skips blanks in base64. */
export interface TextForm {
  readonly expected: string;
  readonly matches: (text: string) => boolean;
}

export const base64: TextForm = { expected: "base64", matches: isBase64 };
export const float: TextForm = {
  expected: "a number",
  matches: (text) =>
    /^(?:NaN|-?Infinity)$/.test(text) ||
    (/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text) && Number.isFinite(Number(text))),
};
const anyText: TextForm = { expected: "a string", matches: () => true };

/** The text forms of well-known types, by type name. */
export const textForms: ReadonlyMap<string, TextForm> = new Map([
  [
    "google.protobuf.Timestamp",
    { expected: "a time as RFC 3339 writes it, from year 0001 on", matches: isTimestamp },
  ],
  [
    "google.protobuf.Duration",
    {
      expected: `seconds with an "s", like 1.5s, up to 315576000000s`,
      matches: (text) =>
        /^-?\d{1,12}(?:\.\d{1,9})?s$/.test(text) && Math.abs(Number.parseFloat(text)) <= 315_576_000_000,
    },
  ],
  [
    "google.protobuf.FieldMask",
    {
      expected: "comma-separated lowerCamelCase field paths, or *",
      matches: (text) => /^(?:[A-Za-z0-9.,]*|\*)$/.test(text),
    },
  ],
]);

/** What the last character may be after whole groups of four: its unused bits are zero, so that bytes have one spelling. */
const lastOf = [/^/, /(?!)/, /[AQgw]$/, /[AEIMQUYcgkosw048]$/] as const;

/** Accepts the standard and the URL alphabet. Padding is optional but must be correct. */
function isBase64(text: string): boolean {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text) || (text.endsWith("=") && text.length % 4 !== 0)) return false;
  const digits = text.replace(/={1,2}$/, "");
  const rest = digits.length % 4;
  return lastOf[rest]?.test(digits) ?? false;
}

const timestampPattern =
  /^(\d{4}-\d{2}-\d{2})T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** Checks the form, the range, and that the day exists; `Date` turns 30 February into 1 March. */
function isTimestamp(text: string): boolean {
  const day = timestampPattern.exec(text)?.[1] ?? "";
  const time = Date.parse(`${day}T00:00:00Z`);
  const exists = !Number.isNaN(time) && new Date(time).toISOString().startsWith(day);
  return exists && Date.parse(text) >= earliest && Date.parse(text) <= latest;
}

const earliest = Date.parse("0001-01-01T00:00:00Z");
const latest = Date.parse("9999-12-31T23:59:59.999Z");

/** Checks a scalar and gives the JSON that protobuf-es may read. The range of a float is left to protobuf-es. */
export function checkScalar(scalar: ScalarType, json: ExactJson): JsonValue {
  switch (scalar) {
    case ScalarType.STRING:
      return checkString(json);
    case ScalarType.BOOL:
      if (typeof json !== "boolean") throw new ValueError("expected true or false");
      return json;
    case ScalarType.BYTES:
      return checkText(json, base64);
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return typeof json === "string" ? checkText(json, float) : checkDouble(json);
    default:
      return checkInteger(scalar, json);
  }
}

/** Gives an integer of 32 or 64 bits as a number or as digits. */
function checkInteger(scalar: ScalarType, json: ExactJson): number | string {
  const text = json instanceof WrittenNumber ? json.text : json;
  const integer =
    typeof text === "string" ? exactInteger(text) : Number.isSafeInteger(text) ? text : undefined;
  if (typeof integer !== "bigint" && typeof integer !== "number") throw new ValueError("expected an integer");
  const [min, max] = ranges.get(scalar) ?? int64;
  if (integer < min || integer > max) throw new ValueError(`expected an integer from ${min} to ${max}`);
  return typeof integer === "number" ? integer : String(integer);
}

const int32 = [-(2n ** 31n), 2n ** 31n - 1n] as const;
const int64 = [-(2n ** 63n), 2n ** 63n - 1n] as const;
const ranges: ReadonlyMap<ScalarType, readonly [min: bigint, max: bigint]> = new Map([
  [ScalarType.INT32, int32],
  [ScalarType.SINT32, int32],
  [ScalarType.SFIXED32, int32],
  [ScalarType.UINT32, [0n, 2n ** 32n - 1n]],
  [ScalarType.FIXED32, [0n, 2n ** 32n - 1n]],
  [ScalarType.UINT64, [0n, 2n ** 64n - 1n]],
  [ScalarType.FIXED64, [0n, 2n ** 64n - 1n]],
]);

/** A number such as 1e999 is refused: it becomes Infinity, which JSON cannot say. */
function checkDouble(json: ExactJson): number {
  const number = json instanceof WrittenNumber ? Number(json.text) : json;
  if (typeof number !== "number") throw new ValueError(`expected ${float.expected}`);
  if (!Number.isFinite(number)) throw new ValueError("a number too large for a double");
  return number;
}

/**
 * Checks a number inside a Struct, Value or ListValue. Its type is not declared as double, so a number that a double would change
 * is refused.
 */
export function checkAnyNumber(json: number | WrittenNumber): number {
  const number = checkDouble(json);
  if (json instanceof WrittenNumber && !isKept(json.text)) {
    throw new ValueError("a number that a double cannot hold; write it as a string");
  }
  return number;
}

/** Checks a value of an enum: a known name, or any integer. */
export function checkEnum(type: DescEnum, json: ExactJson): JsonValue {
  const isNull = json === null && type.typeName === "google.protobuf.NullValue";
  if (isNull) return json;
  const isInteger =
    json instanceof WrittenNumber ? exactInteger(json.text) !== undefined : Number.isInteger(json);
  if (isInteger) return Number(checkInteger(ScalarType.INT32, json));
  if (typeof json === "string" && enumNumber(type, json) !== undefined) return json;
  throw new ValueError(`expected a value of the enum ${type.name}`);
}

/** The number of an enum value by its proto or JSON name. */
export function enumNumber(type: DescEnum, name: string): number | undefined {
  return type.values.find((value) => value.name === name || value.jsonName === name)?.number;
}

/** Checks a string of a message: Postgres text holds neither NUL nor unpaired surrogates. */
export function checkString(json: ExactJson): string {
  const text = checkText(json, anyText);
  if (text.includes("\0")) throw new ValueError("a NUL character cannot be stored");
  if (!text.isWellFormed()) throw new ValueError("an unpaired surrogate is not a character");
  return text;
}

/** Checks a JSON string against a text form. */
export function checkText(json: ExactJson | undefined, { expected, matches }: TextForm): string {
  if (typeof json !== "string" || !matches(json)) throw new ValueError(`expected ${expected}`);
  return json;
}

/** Checks a key of a map. protobuf-es would read "0x10" as an integer. */
export function checkMapKey(type: ScalarType, key: string): void {
  checkString(key);
  if (type !== ScalarType.STRING && !/^(?:-?\d{1,20}|true|false)$/.test(key)) {
    throw new ValueError("expected keys of the map's type");
  }
}
