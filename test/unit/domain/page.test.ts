import * as fc from "fast-check";
import { expect, test } from "vitest";
import { cutPage, pageSizes, parsePage } from "../../../src/domain/page.ts";

const filters = ["things", "red", ""];
const parseKey = (text: string) => (/^k\d+$/.test(text) ? text : undefined);
const keyOf = (row: number) => `k${row}`;
const parse = (pageSize: number, pageToken: string, using = filters) =>
  parsePage(pageSize, pageToken, using, parseKey);

/** Rows as a store returns them: up to one more than the page holds. */
function fetch(rows: readonly number[], { size, after }: ReturnType<typeof parse>): number[] {
  const from = after === undefined ? 0 : rows.findIndex((row) => keyOf(row) === after) + 1;
  return rows.slice(from, from + size + 1);
}

function tokenAfter(row: number, using = filters): string {
  return cutPage([row, row + 1], { size: 1, after: undefined }, using, keyOf).nextPageToken;
}

test("size 0 means the default; a larger size than the largest is reduced to it", () => {
  expect(parse(0, "")).toEqual({ size: pageSizes.default, after: undefined });
  expect(parse(7, "")).toEqual({ size: 7, after: undefined });
  expect(parse(pageSizes.max + 1, "").size).toBe(pageSizes.max);
  expect(parse(2 ** 31 - 1, "").size).toBe(pageSizes.max);
});

test("rejects a negative size", () => {
  const violations = [expect.objectContaining({ field: "page_size" })];
  expect(() => parse(-1, "")).toThrow(expect.objectContaining({ violations }));
});

test("pages of any size together are the list", () => {
  const property = fc.property(fc.nat(40), fc.integer({ min: 1, max: 12 }), (length, size) => {
    const rows = Array.from({ length }, (_, i) => i);
    const seen: number[] = [];
    let token = "";
    let pages = 0;
    do {
      const page = parse(size, token);
      const cut = cutPage(fetch(rows, page), page, filters, keyOf);
      seen.push(...cut.rows);
      token = cut.nextPageToken;
      pages++;
    } while (token !== "");
    expect(seen).toEqual(rows);
    expect(pages).toBe(Math.max(1, Math.ceil(length / size)));
  });
  fc.assert(property);
});

test("the size may change from page to page", () => {
  expect(parse(3, tokenAfter(5))).toEqual({ size: 3, after: "k5" });
});

test("a token is valid only for its list and filters", () => {
  const others = [["things", "red"], ["things", "", "red"], ["things", 'red","'], ["others", "red", ""], []];
  for (const other of others) {
    expect(() => parse(1, tokenAfter(5), other)).toThrow("page_token");
    expect(() => parse(1, tokenAfter(5, other))).toThrow("page_token");
  }
});

test("rejects a token with a key that the list cannot have", () => {
  const token = cutPage([1, 2], { size: 1, after: undefined }, filters, () => "'; drop table").nextPageToken;
  expect(() => parse(1, token)).toThrow("page_token");
});

test("rejects any other text as a page token", () => {
  const token = tokenAfter(5);
  const refused = (text: string) => {
    expect(() => parse(1, text)).toThrow("page_token");
  };
  const edited = [`${token}=`, ` ${token}`, `${token}\n`, token.slice(1), token.slice(0, -1)];
  for (const text of [...edited, "k5", "a".repeat(10_000)]) refused(text);
  fc.assert(fc.property(fc.string({ minLength: 1, unit: "binary" }), refused));
});
