import { type RawBuilder, sql } from "kysely";

/** Decides whether answers of the connected server may be used. */
export interface ServerGuard {
  /**
   * Called with the timeline of every answer to a read; undefined if the database has no timelines. Returns "repeat" if the
   * statement must run again. Throws a DatabaseFailure if the answer must not be used.
   */
  admit(timeline: number | undefined): "use" | "repeat";
}

/** Accepts every server that is not a standby. */
export const anyPrimary: ServerGuard = { admit: () => "use" };

/**
 * Delays the acknowledgement of the first revocations on a new primary, until no process can accept what they revoked from the
 * primary before it.
 */
export interface CommitGate {
  /** SQL expression of the server's timeline in hexadecimal; null if the database has none. */
  readonly timeline: RawBuilder<string | null>;
  /** Takes the timeline of the server to which a revocation is written. Throws a DatabaseFailure if it must not be used. */
  written(timeline: string | null): void;
  /** Undefined if revocations may be acknowledged at once, as nearly always; resolves when they may. */
  passed(): Promise<void> | undefined;
}

/** For commands that run beside the service, and databases that nothing else serves from. */
export const openGate: CommitGate = {
  timeline: sql`null::text`,
  written: () => undefined,
  passed: () => undefined,
};
