import { createHash } from "node:crypto";
import { SessiondError } from "./errors.ts";

/** Default and largest page size (AIP-158). */
export const pageSizes = { default: 50, max: 1000 } as const;

/** A page of a list: the rows after the row with key `after`. */
export interface PageRequest<Key extends string> {
  readonly size: number;
  readonly after: Key | undefined;
}

/**
 * Parses `page_size` and `page_token`. `filters` are the list's other arguments, to which a token is bound. Fails with
 * FIELD_INVALID.
 */
export function parsePage<Key extends string>(
  pageSize: number,
  pageToken: string,
  filters: readonly string[],
  parseKey: (text: string) => Key | undefined,
): PageRequest<Key> {
  if (pageSize < 0) throw invalid("page_size", "must not be negative");
  const size = pageSize === 0 ? pageSizes.default : Math.min(pageSize, pageSizes.max);
  if (pageToken === "") return { size, after: undefined };
  const bytes = Buffer.from(pageToken, "base64url");
  const check = bytes.subarray(0, checkLength);
  const rest = bytes.subarray(checkLength);
  const isValid = bytes.toString("base64url") === pageToken && check.equals(checkOf(filters, rest));
  const after = isValid ? parseKey(rest.toString()) : undefined;
  if (after === undefined) {
    throw invalid("page_token", "must be a next_page_token of the same list with the same filters");
  }
  return { size, after };
}

/** Cuts `rows`, which hold up to one more than the page, to the page. The token of the next page is empty on the last one. */
export function cutPage<Row, Key extends string>(
  rows: readonly Row[],
  page: PageRequest<Key>,
  filters: readonly string[],
  keyOf: (row: Row) => Key,
): { rows: readonly Row[]; nextPageToken: string } {
  const cut = rows.slice(0, page.size);
  const last = cut.at(-1);
  if (rows.length <= page.size || last === undefined) return { rows: cut, nextPageToken: "" };
  return { rows: cut, nextPageToken: pageTokenAfter(keyOf(last), filters) };
}

export function pageTokenAfter(key: string, filters: readonly string[]): string {
  const after = Buffer.from(key);
  return Buffer.concat([checkOf(filters, after), after]).toString("base64url");
}

const checkLength = 12;

/** Binds a token to its list. Detects mistakes and is not a secret: a forged token shows only the caller's own rows. */
function checkOf(filters: readonly string[], after: Buffer): Buffer {
  return createHash("sha256").update(JSON.stringify(filters)).update(after).digest().subarray(0, checkLength);
}

function invalid(field: string, description: string): SessiondError {
  return new SessiondError("FIELD_INVALID", { violations: [{ field, description }] });
}
