import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { usageFailure } from "../output/failure.ts";
import { type Columns, table } from "../output/table.ts";
import type { Run } from "./command.ts";
import type { OptionValues } from "./options.ts";

/** The options of every command that lists. */
export const listOptions = {
  "--limit <number>": { help: "how many at most", default: "100" },
  "--page-token <token>": "continue a list that was cut by --limit",
};

/** Largest page that the service accepts. */
const maxPageSize = 1000;

/** A method of the service that lists. */
export interface List<Desc extends DescMessage, Item> {
  readonly response: Desc;
  readonly read: (page: {
    readonly pageSize: number;
    readonly pageToken: string;
  }) => Promise<MessageShape<Desc> & { nextPageToken: string }>;
  readonly itemsOf: (response: MessageShape<Desc>) => Item[];
  readonly columns: Columns<Item>;
}

/** Prints up to `--limit` items: one response that has the items of all pages read, or a table. */
export async function printList<Desc extends DescMessage, Item>(
  { options, output }: Pick<Run<OptionValues<typeof listOptions>>, "options" | "output">,
  { response, read, itemsOf, columns }: List<Desc, Item>,
): Promise<void> {
  const limit = parseLimit(options.limit);
  const readNext = (count: number, pageToken: string) =>
    read({ pageSize: Math.min(limit - count, maxPageSize), pageToken });
  const list = await readNext(0, options.pageToken ?? "");
  const items = itemsOf(list);
  while (items.length < limit && list.nextPageToken !== "") {
    const page = await readNext(items.length, list.nextPageToken);
    items.push(...itemsOf(page));
    list.nextPageToken = page.nextPageToken;
  }
  const more = `\n\nThere are more: --page-token ${list.nextPageToken}, or a higher --limit.`;
  await output.message(response, list, table(columns, items) + (list.nextPageToken === "" ? "" : more));
}

function parseLimit(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw usageFailure("--limit must be a whole number from 1 on");
}
