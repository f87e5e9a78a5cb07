import { type CustomTypesConfig, types } from "pg";

// pg converts values for every type and setting of a connection, and is slow. This file converts the forms that nearly all rows
// and parameters of the store have, and leaves the others to pg.

/** Parses results as pg does, except int8, which becomes a number: revisions and counts stay far below 2^53. */
export const getTypeParser: CustomTypesConfig["getTypeParser"] = (oid, format) => {
  if (format === "binary") return types.getTypeParser(oid, format);
  return parsers.get(oid) ?? types.getTypeParser(oid, format);
};

/** pg's type definitions have no array types. */
const textArray = 1009 as Parameters<typeof types.getTypeParser>[0];
const parseTextArrayOfPg: (text: string) => unknown = types.getTypeParser(textArray);
const parseTimeOfPg: (text: string) => unknown = types.getTypeParser(types.builtins.TIMESTAMPTZ);

const parsers = new Map<number, (text: string) => unknown>([
  [types.builtins.INT8, Number],
  [types.builtins.TIMESTAMPTZ, parseTime],
  [textArray, parseTextArray],
]);

/** Parses `2026-03-01 12:00:00.123456+00`: ISO style in UTC, years 100 to 9999, with or without a fraction. */
function parseTime(text: string): unknown {
  const zone = text.length - 3;
  const isUsual =
    text.charCodeAt(4) === hyphen &&
    zone >= 19 &&
    zone <= 26 &&
    text.startsWith("+00", zone) &&
    text >= "0100";
  if (!isUsual) return parseTimeOfPg(text);
  let milliseconds = 0;
  for (let i = 20, unit = 100; i < zone && unit >= 1; i++, unit /= 10) {
    milliseconds += digitAt(text, i) * unit;
  }
  return new Date(
    Date.UTC(
      twoDigitsAt(text, 0) * 100 + twoDigitsAt(text, 2),
      twoDigitsAt(text, 5) - 1,
      twoDigitsAt(text, 8),
      twoDigitsAt(text, 11),
      twoDigitsAt(text, 14),
      twoDigitsAt(text, 17),
      milliseconds,
    ),
  );
}

const hyphen = 0x2d;

function digitAt(text: string, i: number): number {
  return text.charCodeAt(i) - 0x30;
}

function twoDigitsAt(text: string, i: number): number {
  return digitAt(text, i) * 10 + digitAt(text, i + 1);
}

/** Parses `{a,b}` without quotes, nulls or nested arrays. */
function parseTextArray(text: string): unknown {
  if (text === "{}") return [];
  if (!text.startsWith("{") || /["\\]|NULL|.\{/s.test(text)) return parseTextArrayOfPg(text);
  return text.slice(1, -1).split(",");
}

/** Writes a list of texts, numbers, bytes, times and nulls as a Postgres array; returns other parameters unchanged. */
export function toParameter(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  let literal = "{";
  for (let i = 0; i < value.length; i++) {
    const element = toElement(value[i]);
    if (element === undefined) return value;
    literal += i === 0 ? element : `,${element}`;
  }
  return `${literal}}`;
}

/** Undefined for elements that pg must convert. */
function toElement(value: unknown): string | undefined {
  if (typeof value === "string") return `"${/["\\]/.test(value) ? value.replace(/["\\]/g, "\\$&") : value}"`;
  if (typeof value === "number") return String(value);
  if (value === null) return "NULL";
  if (Buffer.isBuffer(value)) return `"\\\\x${value.toString("hex")}"`;
  if (value instanceof Date && isUsualTime(value)) return `"${value.toISOString()}"`;
  return undefined;
}

/** Whether Postgres accepts the result of `toISOString`: it does not for years with a sign. */
function isUsualTime(time: Date): boolean {
  const year = time.getUTCFullYear();
  return year > 0 && year < 10_000;
}
