import { createHash } from "node:crypto";
import { SessiondError } from "./errors.ts";
import { fittingRows } from "./page-size.ts";

/** Default and largest page size (AIP-158). */
export const pageSizes = { default: 50, max: 1000 } as const;

/** Longest page token that is read, in characters. The service's own are shorter than 150. */
const maxPageTokenLength = 256;

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
  const key = keyIn(pageToken, filters);
  const after = key === undefined ? undefined : parseKey(key);
  if (after === undefined) {
    throw invalid("page_token", "must be a next_page_token of the same list with the same filters");
  }
  return { size, after };
}

/**
 * Cuts `rows`, which hold up to one more than the page, to the page, or to what fits into an answer. The token of the next page
 * is empty on the last one.
 */
export function cutPage<Row, Key extends string>(
  rows: readonly Row[],
  page: PageRequest<Key>,
  filters: readonly string[],
  keyOf: (row: Row) => Key,
): { rows: readonly Row[]; nextPageToken: string } {
  const cut = rows.slice(0, Math.min(page.size, fittingRows(rows)));
  const last = cut.at(-1);
  if (rows.length === cut.length || last === undefined) return { rows: cut, nextPageToken: "" };
  return { rows: cut, nextPageToken: pageTokenAfter(keyOf(last), filters) };
}

export function pageTokenAfter(key: string, filters: readonly string[]): string {
  const after = Buffer.from(key);
  return Buffer.concat([checkOf(filters, after), after]).toString("base64url");
}

/** The key in a token; undefined if it is not a token of the list with these filters. */
function keyIn(pageToken: string, filters: readonly string[]): string | undefined {
  if (pageToken.length > maxPageTokenLength) return undefined;
  const bytes = Buffer.from(pageToken, "base64url");
  const check = bytes.subarray(0, checkLength);
  const rest = bytes.subarray(checkLength);
  const isCanonical = bytes.toString("base64url") === pageToken;
  return isCanonical && check.equals(checkOf(filters, rest)) ? rest.toString() : undefined;
}

const checkLength = 12;

/** Binds a token to its list. Detects mistakes and is not a secret: a forged token shows only the caller's own rows. */
function checkOf(filters: readonly string[], after: Buffer): Buffer {
  return createHash("sha256").update(JSON.stringify(filters)).update(after).digest().subarray(0, checkLength);
}

function invalid(field: string, description: string): SessiondError {
  return new SessiondError("FIELD_INVALID", { violations: [{ field, description }] });
}
