import { type Kysely, sql } from "kysely";
import type { Tables } from "../schema/tables.ts";

/** What there is to know of a database before one relies on it. */
export interface DatabaseFacts {
  /** Such as 140005. */
  readonly versionNumber: number;
  readonly version: string;
  readonly fsync: boolean;
  readonly fullPageWrites: boolean;
  /** As it is for a connection of this service, which asks for `on`: a pooler may lose that. */
  readonly synchronousCommit: string;
  /** A standby, or a database that takes no writes by default. */
  readonly readOnly: boolean;
}

/** The oldest version that is supported. */
export const oldestVersionNumber = 140_000;

/** Asks the database about itself. */
export async function readDatabaseFacts(db: Kysely<Tables>): Promise<DatabaseFacts> {
  const { rows } = await sql<DatabaseFacts>`
    select current_setting('server_version_num')::int as "versionNumber",
           current_setting('server_version') as "version",
           current_setting('fsync')::bool as "fsync",
           current_setting('full_page_writes')::bool as "fullPageWrites",
           current_setting('synchronous_commit') as "synchronousCommit",
           pg_is_in_recovery() or current_setting('default_transaction_read_only')::bool as "readOnly"`.execute(
    db,
  );
  const [facts] = rows;
  if (facts === undefined) throw new Error("the database says nothing of itself");
  return facts;
}

/** How far the database's clock is ahead of this machine's, in milliseconds, and by how much that may be wrong. */
export interface ClockOffset {
  readonly offset: number;
  readonly uncertainty: number;
}

const samples = 5;

/** Compares the clocks: the quickest of some questions tells best, as the database answered somewhere between asking and hearing. */
export async function readClockOffset(db: Kysely<Tables>): Promise<ClockOffset> {
  let best: ClockOffset = { offset: 0, uncertainty: Infinity };
  for (let i = 0; i < samples; i++) {
    const wall = Date.now();
    const asked = performance.now();
    const { rows } = await sql<{ now: number }>`
      select (extract(epoch from clock_timestamp()) * 1000)::float8 as now`.execute(db);
    const uncertainty = (performance.now() - asked) / 2;
    const offset = (rows[0]?.now ?? 0) - (wall + uncertainty);
    if (uncertainty < best.uncertainty) best = { offset, uncertainty };
  }
  return best;
}
