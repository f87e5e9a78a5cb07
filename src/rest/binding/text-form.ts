/**
 * The exact text forms of ProtoJSON that protobuf-es reads too generously: it takes "1sfoo" for a Duration, 30 February
 * for a Timestamp, "0x10" for an int32, and skips blanks in base64.
 */

const timestampPattern =
  /^(\d{4})-(\d{2})-(\d{2})T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** An RFC 3339 time with a day that exists. The range of years is checked when it is read. */
export function isTimestamp(text: string): boolean {
  const match = timestampPattern.exec(text);
  if (match === null) return false;
  const month = Number(match[2]);
  const day = Number(match[3]);
  const year = Number(match[1]);
  return month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
}

function daysIn(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/** Seconds with up to nine digits after the point and an "s". */
export function isDuration(text: string): boolean {
  return /^-?\d{1,12}(?:\.\d{1,9})?s$/.test(text);
}

/** A decimal integer, nothing else; short enough for any integer type. */
export function isInteger(text: string): boolean {
  return /^-?\d{1,20}$/.test(text);
}

/** A JSON number or one of the three names that ProtoJSON gives to the others. */
export function isFloat(text: string): boolean {
  return /^(?:-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|NaN|-?Infinity)$/.test(text);
}

/** A quoted integer in JSON may have an exponent or a zero fraction, which ProtoJSON allows; hex it may not have. */
export function isQuotedInteger(text: string): boolean {
  return /^-?\d+(?:\.0+)?(?:[eE]\+?\d+)?$/.test(text);
}

/** Base64 in the standard or the URL alphabet, padding optional but right if there. */
export function isBase64(text: string): boolean {
  const match = /^([A-Za-z0-9+/_-]*)(={0,2})$/.exec(text);
  if (match === null) return false;
  const length = match[1]?.length ?? 0;
  return length % 4 !== 1 && (match[2] === "" || text.length % 4 === 0);
}
