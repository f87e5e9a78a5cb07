import { expect, test } from "vitest";
import { StatementTexts } from "../../../src/storage/connection/statement-texts.ts";

const texts = new StatementTexts();

test.each([
  ["select 1", true],
  ["\n      SELECT\n1", true],
  ["with a as (update t set x = 1 returning x) select x from a", false],
  ["selection", false],
  ["insert into t select 1", false],
  ["update t set x = (select 1)", false],
  ["commit", false],
])("%j starts with select: %s", (text, isSelect) => {
  expect(texts.of(text)).toMatchObject({ text, isSelect });
});

test("a text has one name, in every process, which Postgres does not cut off", () => {
  const { name } = texts.of("select $1::int");
  expect(new StatementTexts().of("select $1::int").name).toBe(name);
  expect(texts.of("select $1::text").name).not.toBe(name);
  expect(name.length).toBeLessThan(64);
});

test("a fenced statement has a name of its own for each fence, and is made once", () => {
  const read = texts.of("select $1::int -- a comment");
  const fenced = (["timeline", "recovery"] as const).map((fence) => read.fencedBy(fence));
  expect(new Set([read.name, ...fenced.map(({ name }) => name)]).size).toBe(3);
  for (const { text } of fenced) expect(text).toContain("pg_is_in_recovery()");
  expect(read.fencedBy("timeline")).toBe(fenced[0]);
});
