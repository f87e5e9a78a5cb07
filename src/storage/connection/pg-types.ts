import { type CustomTypesConfig, types } from "pg";

// What pg does with values is right and slow: it is made for every setting of a connection and every type. Here are the few
// forms that rows and parameters of the store nearly always have; whatever has another is left to pg.

/** How results are read: as pg does, but for int8, which is a number, as revisions and counts stay far below 2^53. */
export const getTypeParser: CustomTypesConfig["getTypeParser"] = (oid, format) => {
  if (format === "binary") return types.getTypeParser(oid, format);
  return parsers.get(oid) ?? types.getTypeParser(oid, format);
};

/** pg's types know only those that are no arrays. */
const textArray = 1009 as Parameters<typeof types.getTypeParser>[0];
const parseTextArrayOfPg: (text: string) => unknown = types.getTypeParser(textArray);
const parseTimeOfPg: (text: string) => unknown = types.getTypeParser(types.builtins.TIMESTAMPTZ);

const parsers = new Map<number, (text: string) => unknown>([
  [types.builtins.INT8, Number],
  [types.builtins.TIMESTAMPTZ, parseTime],
  [textArray, parseTextArray],
]);

/** `2026-03-01 12:00:00.123456+00`, as it is in ISO style and UTC for the years 100 to 9999; the fraction may be missing. */
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

/** `{a,b}`, where nothing is quoted, null or an array. */
function parseTextArray(text: string): unknown {
  if (text === "{}") return [];
  if (!text.startsWith("{") || /["\\]|NULL|.\{/s.test(text)) return parseTextArrayOfPg(text);
  return text.slice(1, -1).split(",");
}

/** A parameter: a list of texts, numbers, bytes, times and nulls as Postgres writes an array; everything else as it is. */
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

/** Undefined for what is left to pg. */
function toElement(value: unknown): string | undefined {
  if (typeof value === "string") return `"${/["\\]/.test(value) ? value.replace(/["\\]/g, "\\$&") : value}"`;
  if (typeof value === "number") return String(value);
  if (value === null) return "NULL";
  if (Buffer.isBuffer(value)) return `"\\\\x${value.toString("hex")}"`;
  if (value instanceof Date && isUsualTime(value)) return `"${value.toISOString()}"`;
  return undefined;
}

/** Whether Postgres reads what `toISOString` makes of it: not of years with a sign. */
function isUsualTime(time: Date): boolean {
  const year = time.getUTCFullYear();
  return year > 0 && year < 10_000;
}
