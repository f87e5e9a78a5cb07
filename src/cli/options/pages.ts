import type { Command } from "commander";
import { usageFailure } from "../failure.ts";

/** The options of every command that lists. */
export interface PageOptions {
  readonly limit: string;
  readonly pageToken?: string;
}

/** Adds the options of a list to a command. */
export function withPages(command: Command): Command {
  return command
    .option("--limit <number>", "how many at most", "100")
    .option("--page-token <token>", "go on where a list before ended");
}

/** Most that the service gives at once. */
const maxPageSize = 1000;

/** As many as were asked for, page by page, and the token of those after them; empty where there are none. */
export async function readPages<T>(
  options: PageOptions,
  read: (page: {
    pageSize: number;
    pageToken: string;
  }) => Promise<{ readonly items: readonly T[]; readonly nextPageToken: string }>,
): Promise<{ items: T[]; nextPageToken: string }> {
  const limit = readLimit(options.limit);
  const items: T[] = [];
  let pageToken = options.pageToken ?? "";
  do {
    const page = await read({ pageSize: Math.min(limit - items.length, maxPageSize), pageToken });
    items.push(...page.items);
    pageToken = page.nextPageToken;
  } while (items.length < limit && pageToken !== "");
  return { items, nextPageToken: pageToken };
}

/** What to say below a list that does not end there. */
export function more(nextPageToken: string): string {
  return nextPageToken === ""
    ? ""
    : `\n\nThere are more: --page-token ${nextPageToken}, or a higher --limit.`;
}

function readLimit(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw usageFailure("--limit must be a whole number from 1 on");
}
