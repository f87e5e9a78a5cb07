import type { DescEnum, EnumShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";

/** The values of an enum as people write them, without the one for "not said". */
export function wordsOf(desc: DescEnum): readonly string[] {
  return desc.values.filter(({ number }) => number !== 0).map(({ localName }) => toWord(localName));
}

/** A value of an enum as people read it; empty where it is not said. */
export function wordOf(desc: DescEnum, value: number): string {
  if (value === 0) return "";
  const name = desc.value[value]?.localName;
  return name === undefined ? String(value) : toWord(name);
}

/** The value that {@link wordsOf} writes so; the one for "not said" where there is none. */
export function valueOf<Desc extends DescEnum>(desc: Desc, word: string): EnumShape<Desc> {
  const value = desc.values.find(({ number, localName }) => number !== 0 && toWord(localName) === word);
  // The descriptor has the numbers; that they are the enum's is known to its type alone.
  return (value?.number ?? 0) as EnumShape<Desc>;
}

function toWord(localName: string): string {
  return localName.toLowerCase().replaceAll("_", "-");
}

/** A moment as people read it, to the second, in UTC; empty where there is none. */
export function timeOf(time: Timestamp | undefined): string {
  return time === undefined
    ? ""
    : timestampDate(time)
        .toISOString()
        .replace(/\.\d+Z$/, "Z");
}
