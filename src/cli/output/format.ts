import type { DescEnum, EnumShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";

/** The words that an option takes for the values of an enum, without UNSPECIFIED. */
export function enumWords(desc: DescEnum): readonly string[] {
  return desc.values.filter(({ number }) => number !== 0).map(({ localName }) => toWord(localName));
}

/** The word for a value of an enum; empty for UNSPECIFIED. */
export function enumWord(desc: DescEnum, value: number): string {
  if (value === 0) return "";
  const name = desc.value[value]?.localName;
  return name === undefined ? String(value) : toWord(name);
}

/** The value that a word of {@link enumWords} means; UNSPECIFIED for any other text. */
export function enumValue<Desc extends DescEnum>(desc: Desc, word: string): EnumShape<Desc> {
  const value = desc.values.find(({ number, localName }) => number !== 0 && toWord(localName) === word);
  // The descriptor's type does not say that its numbers are those of the enum.
  return (value?.number ?? 0) as EnumShape<Desc>;
}

function toWord(localName: string): string {
  return localName.toLowerCase().replaceAll("_", "-");
}

/** The units of durations, the longest first. */
export const millisecondsOf: ReadonlyMap<string, number> = new Map([
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
]);

/** A duration in the longest unit that gives a whole number, such as `90m`. */
export function formatDuration(ms: number): string {
  const [unit, unitMs] = [...millisecondsOf].find(([, unitMs]) => ms > 0 && ms % unitMs === 0) ?? ["s", 1000];
  return `${ms / unitMs}${unit}`;
}

/** A time in UTC, to the second; empty if undefined. */
export function formatTime(time: Timestamp | undefined): string {
  return time === undefined ? "" : `${timestampDate(time).toISOString().slice(0, 19)}Z`;
}
