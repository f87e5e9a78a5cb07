/** Control characters, those of C1 too, and the marks that turn the direction of text. */
const unprintable = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** Text on one line of a terminal, with control characters as escapes, so that it cannot move the cursor or imitate other text. */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** The columns of a table: titles, and how each cell is made. */
export type Columns<Item> = Readonly<Record<string, (item: Item, index: number) => string>>;

/** A table for the terminal, each column as wide as its widest cell. */
export function table<Item>(columns: Columns<Item>, items: readonly Item[]): string {
  const titles = Object.keys(columns);
  const rows = items.map((item, i) => Object.values(columns).map((cell) => printable(cell(item, i))));
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const rule = widths.map((width) => "-".repeat(width));
  return [titles, rule, ...rows]
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "))
    .map((line) => line.trimEnd())
    .join("\n");
}

/** Names and values for the terminal, one pair per line. A name whose value is undefined is left out. */
export function pairs(entries: Readonly<Record<string, string | undefined>>): string {
  const shown = Object.entries(entries).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`.trimEnd()).join("\n");
}
