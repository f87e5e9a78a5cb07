import * as fc from "fast-check";
import { sql } from "kysely";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openStore } from "../../support/postgres/open-store.ts";
import { databaseOfTest } from "../../support/postgres/test-database.ts";
import { useStore } from "../../support/postgres/use-store.ts";

const opened = useStore();
/** Parses as pg does by default. */
let plain: Client;

beforeAll(async () => {
  plain = new Client({ connectionString: opened.url });
  await plain.connect();
});

afterAll(() => plain.end());

/** Converts parameters and results as the store's connections do. */
async function through(type: string, value: unknown): Promise<unknown> {
  const { rows } = await sql<{ value: unknown }>`select ${value}::${sql.raw(type)} as value`.execute(
    opened.db,
  );
  return rows[0]?.value;
}

test("times are read to the millisecond, for any year and fraction", async () => {
  const times = await sql<{ ms: number; time: Date }>`
    select floor(extract(epoch from time) * 1000)::bigint as ms, time from (
      -- From the year 1 to 12000, each with another fraction of up to six digits, and all fractions of a second in milliseconds.
      select '0001-01-01 00:00:00+00'::timestamptz + i * interval '47 hours 59 minutes 59.987654 seconds' as time
      from generate_series(0, 2000000, 997) i
      union all select '2026-03-01 12:00:00+00'::timestamptz + i * interval '1 millisecond' from generate_series(0, 999) i
    ) times where extract(year from time) < 9999`.execute(opened.db);
  expect(times.rows.length).toBeGreaterThan(2500);
  for (const { ms, time } of times.rows) expect(time.getTime()).toBe(ms);
});

test("times of rare forms are read as pg reads them", async () => {
  const forms = [
    "infinity",
    "-infinity",
    "0044-03-15 12:00:00+00 BC",
    "0001-01-01 00:00:00+00",
    "0099-12-31 23:59:59.999999+00",
    "0100-01-01 00:00:00+00",
    "9999-12-31 23:59:59.999+00",
    "10000-01-01 00:00:00+00",
    "275760-09-13 00:00:00+00",
    "1969-12-31 23:59:59.9995+00",
    "2024-02-29 00:00:00.1+00",
  ];
  for (const form of forms) {
    const { rows } = await plain.query("select $1::timestamptz as value", [form]);
    expect(await through("timestamptz", form), form).toEqual(rows[0].value);
  }
  // If the connection has another zone or style.
  await opened.db.connection().execute(async (connection) => {
    for (const zone of ["Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "+00", "-00:30"]) {
      await sql`set time zone ${sql.lit(zone)}`.execute(connection);
      const { rows } = await sql<{ value: Date }>`
        select '2026-07-01 12:34:56.789Z'::timestamptz as value`.execute(connection);
      expect(rows[0]?.value, zone).toEqual(new Date("2026-07-01T12:34:56.789Z"));
    }
    await sql`set time zone 'UTC'`.execute(connection);
  });
});

test("connections read times in UTC and ISO style, regardless of the database's defaults", async () => {
  const url = await databaseOfTest();
  const name = new URL(url).pathname.slice(1);
  await plain.query(`alter database ${name} set timezone = 'Asia/Kathmandu'`);
  await plain.query(`alter database ${name} set datestyle = 'German'`);
  const other = openStore(url);
  const { rows } = await sql`select '2026-07-01 12:34:56.789Z'::timestamptz as value,
    '2026-07-01 12:34:56.789Z'::timestamptz::text as text`.execute(other.db);
  await other.close();
  expect(rows).toEqual([{ value: new Date("2026-07-01T12:34:56.789Z"), text: "2026-07-01 12:34:56.789+00" }]);
});

const awkwardUnits = Array.from(`"\\{},' \n\t=[]:NULabnulé😀`);

const awkward = fc.oneof(
  fc.string({ unit: "binary" }).map((text) => text.replaceAll("\0", "")),
  fc.string({ unit: fc.constantFrom(...awkwardUnits) }),
  fc.constantFrom("", "NULL", "null", "{}", "{a}", '"', "\\", "[1:2]={a,b}"),
);

test("lists of texts are read as they were written", async () => {
  const property = fc.asyncProperty(fc.array(fc.option(awkward)), async (list) => {
    expect(await through("text[]", list)).toEqual(list);
  });
  await fc.assert(property, { numRuns: 300 });
});

test("lists of bytes, numbers and times are read as they were written", async () => {
  const time = fc.date({
    min: new Date("-000044-01-01"),
    max: new Date("+012000-01-01"),
    noInvalidDate: true,
  });
  const property = fc.asyncProperty(
    fc.array(fc.option(fc.uint8Array())),
    fc.array(fc.option(fc.maxSafeInteger())),
    fc.array(fc.option(time)),
    async (bytes, numbers, times) => {
      const buffers = bytes.map((one) => one && Buffer.from(one));
      expect(await through("bytea[]", buffers)).toEqual(buffers);
      expect(await through("bigint[]", numbers)).toEqual(
        numbers.map((one) => (one === null ? null : String(one))),
      );
      expect(await through("timestamptz[]", times)).toEqual(times);
    },
  );
  await fc.assert(property, { numRuns: 200 });
});

test("leaves lists of lists to pg", async () => {
  const nested = ['a,b"', "c,NULL"].map((list) => list.split(","));
  const { rows } = await plain.query("select $1::text[] as value", [nested]);
  expect(await through("text[]", nested)).toEqual(rows[0].value);
  expect(await through("text", "[2:3]={a,b}")).toBe("[2:3]={a,b}");
  const bounded = await sql`select '[2:3]={a,b}'::text[] as value`.execute(opened.db);
  expect(bounded.rows).toEqual([{ value: ["a", "b"] }]);
});
