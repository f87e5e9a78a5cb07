/** A number of JSON as it was written, for numbers that a double may change. */
export class WrittenNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A decimal number: `digits` × 10^`exponent`, where digits have no zeros at either end and are empty for zero. */
interface Decimal {
  readonly sign: "" | "-";
  readonly digits: string;
  readonly exponent: number;
}

/** Reads a number of JSON: digits, a fraction, an exponent. Returns undefined for other text, or for an exponent beyond 9 digits. */
function decimalOf(text: string): Decimal | undefined {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,9}))?$/.exec(text) ?? [];
  if (whole === "") return undefined;
  const all = (whole + fraction).replace(/^0+/, "");
  // Not by a pattern, which takes quadratic time for long runs of zeros.
  let end = all.length;
  while (all[end - 1] === "0") end--;
  const digits = all.slice(0, end);
  if (digits === "") return { sign: "", digits, exponent: 0 };
  const zeros = all.length - end;
  return { sign: sign === "-" ? "-" : "", digits, exponent: Number(exponent) - fraction.length + zeros };
}

/**
 * Reads an integer in any spelling of ProtoJSON: digits, a fraction of zeros, an exponent. Returns undefined for other text,
 * for a fraction, and beyond 40 digits, which no integer type has.
 */
export function exactInteger(text: string): bigint | undefined {
  const decimal = decimalOf(text);
  if (decimal === undefined) return undefined;
  const { sign, digits, exponent } = decimal;
  if (digits === "") return 0n;
  if (exponent < 0 || digits.length + exponent > 40) return undefined;
  return BigInt(`${sign}${digits}${"0".repeat(exponent)}`);
}

/** Most significant digits that a double can need (IEEE 754). */
const maxSignificantDigits = 17;
/** Smallest double with full precision. */
const minNormal = 2 ** -1022;
/** From here on doubles have no fractions. */
const minWhole = 2 ** 52;
/** From here on a double is written with an exponent, and is no count or id. */
const minExponential = 1e21;

/**
 * Whether a double says what a number in JSON says: it is written with the same digits. A fraction, or a number with an exponent,
 * may be rounded beyond its 15th digit, as between any two programs, if it has no more digits than a double can need. An integer
 * may not: ids are written as integers.
 */
export function isKept(text: string): boolean {
  const written = decimalOf(text);
  const double = Number(text);
  if (written === undefined || !Number.isFinite(double)) return false;
  const kept = decimalOf(String(double));
  if (kept?.digits === written.digits && kept.exponent === written.exponent) return true;
  const size = Math.abs(double);
  const isRounded = written.exponent < 0 ? size >= minNormal && size < minWhole : size >= minExponential;
  return isRounded && written.digits.length <= maxSignificantDigits;
}
