import { sql } from "kysely";
import type { Db } from "../schema/tables.ts";

export interface DatabaseFacts {
  /** For example 140005. */
  readonly versionNumber: number;
  readonly version: string;
  readonly fsync: boolean;
  readonly fullPageWrites: boolean;
  /** The value for a connection of this service, which sets `on`; a pooler may lose that. */
  readonly synchronousCommit: string;
  /** Whether it is a standby, or read-only by default. */
  readonly readOnly: boolean;
}

export const oldestVersionNumber = 140_000;

export async function readDatabaseFacts(db: Db): Promise<DatabaseFacts> {
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
  if (facts === undefined) throw new Error("the database returned no settings");
  return facts;
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
    const { rows } = await sql<{ now: number }>`
      select (extract(epoch from clock_timestamp()) * 1000)::float8 as now`.execute(db);
    const uncertainty = (performance.now() - asked) / 2;
    const offset = (rows[0]?.now ?? 0) - (wall + uncertainty);
    if (uncertainty < best.uncertainty) best = { offset, uncertainty };
  }
  return best;
}
