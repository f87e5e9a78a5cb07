import { sql } from "kysely";
import { PostgresConnection } from "./postgres-connection.ts";
import type { Db } from "../schema/tables.ts";

export interface DatabaseFacts {
  /** For example 140005. */
  readonly versionNumber: number;
  readonly version: string;
  readonly fsync: boolean;
  readonly fullPageWrites: boolean;
  /** Whether a pooler gives the statements of a connection to different connections of the server. */
  readonly isPooled: boolean;
  readonly encoding: string;
  /** Whether commits wait for a standby. */
  readonly hasSynchronousStandbys: boolean;
  /**
   * The settings that a transaction of this role starts with in this database, by name; durations in milliseconds. Only those that
   * the version knows.
   */
  readonly roleSettings: Readonly<Record<string, string>>;
}

export const oldestVersionNumber = 140_000;

/** Settings that statements depend on, or their speed. */
const roleSettings = [
  "synchronous_commit",
  "array_nulls",
  "client_encoding",
  "client_min_messages",
  "default_transaction_isolation",
  "default_transaction_read_only",
  "default_transaction_deferrable",
  "enable_seqscan",
  "idle_in_transaction_session_timeout",
  "idle_session_timeout",
  "jit",
  "lock_timeout",
  "plan_cache_mode",
  "statement_timeout",
  "transaction_timeout",
];

export async function readDatabaseFacts(db: Db): Promise<DatabaseFacts> {
  const { rows } = await sql<Omit<DatabaseFacts, "isPooled">>`
    select current_setting('server_version_num')::int as "versionNumber",
           current_setting('server_version') as "version",
           current_setting('fsync')::bool as "fsync",
           current_setting('full_page_writes')::bool as "fullPageWrites",
           current_setting('server_encoding') as "encoding",
           current_setting('synchronous_standby_names', true) <> '' as "hasSynchronousStandbys",
           (select json_object_agg(name, reset_val) from pg_settings
             where name = any(${roleSettings}::text[])) as "roleSettings"`.execute(db);
  const [facts] = rows;
  if (facts === undefined) throw new Error("the database returned no settings");
  return { ...facts, isPooled: await isPooled(db) };
}

function isPooled(db: Db): Promise<boolean> {
  return db.getExecutor().provideConnection(async (connection) => {
    return connection instanceof PostgresConnection && connection.session.isPooled;
  });
}

export async function readDatabaseTime(db: Db): Promise<Date> {
  const { rows } = await sql<{ time: Date }>`select clock_timestamp() as time`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error("the database returned no time");
  return row.time;
}

/** How far the database's clock is ahead of this machine's, in milliseconds, plus or minus `uncertainty`. */
export interface ClockOffset {
  readonly offset: number;
  readonly uncertainty: number;
}

const samples = 5;

/** Compares the clocks. The fastest of several queries is the most precise, because the database answered at some time within it. */
export async function readClockOffset(db: Db): Promise<ClockOffset> {
  let best: ClockOffset = { offset: 0, uncertainty: Infinity };
  for (let i = 0; i < samples; i++) {
    const wall = Date.now();
    const asked = performance.now();
    // An integer, whose digits do not depend on extra_float_digits.
    const { rows } = await sql<{ now: number }>`
      select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now`.execute(db);
    const uncertainty = (performance.now() - asked) / 2;
    const offset = (rows[0]?.now ?? 0) / 1000 - (wall + uncertainty);
    if (uncertainty < best.uncertainty) best = { offset, uncertainty };
  }
  return best;
}
