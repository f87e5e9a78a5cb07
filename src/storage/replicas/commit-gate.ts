import { type RawBuilder, sql } from "kysely";

/**
 * Delays the acknowledgement of the first revocations on a new primary, until no process can accept what they revoked from the
 * primary before it.
 */
export interface CommitGate {
  /** SQL expression of the server's timeline in hexadecimal; null if the database has none. */
  readonly timeline: RawBuilder<string | null>;
  /** Takes the timeline of the server to which a revocation is written. Throws if a newer one has answered before. */
  written(timeline: string | null): void;
  /** Undefined if revocations may be acknowledged at once, as they nearly always may; resolves when they may. */
  passed(): Promise<void> | undefined;
}

/** For commands that run beside the service, and databases that nothing else serves from. */
export const openGate: CommitGate = {
  timeline: sql`null::text`,
  written: () => undefined,
  passed: () => undefined,
};

export const timelineExpression: CommitGate["timeline"] = sql`left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)`;
