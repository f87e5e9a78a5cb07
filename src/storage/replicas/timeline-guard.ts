import { type RawBuilder, sql } from "kysely";
import type { Clock } from "../../domain/clock.ts";
import { DatabaseFailure } from "../connection/database-errors.ts";
import { type CommitGate, type ServerGuard, openGate } from "../connection/server-guard.ts";
import { type Lease, type Moment, leaseMs } from "./lease.ts";
import type { Renewal } from "./renewal.ts";

/** Added to the time that other leases may last, for clocks that run at slightly different speeds. */
const marginMs = 100;

const timelineOfServer = sql<string | null>`left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)`;

export type RefusalCause = "lease" | "timeline";

/**
 * Decides which server of the database this process believes. PostgreSQL numbers the timelines of a database: each promotion of a
 * standby starts a higher one.
 *
 * - A read counts only if it comes from the newest timeline that has answered so far, and while the lease holds.
 * - A revocation on a new timeline is acknowledged when the leases that were renewed on older ones have ended.
 */
export class TimelineGuard implements ServerGuard, CommitGate {
  readonly #lease: Lease;
  readonly #clock: Clock;
  readonly #onRefused: (cause: RefusalCause) => void;
  #newest: number | undefined;
  #last: Renewal | undefined;
  /** Whether a server on an older timeline has answered since the last renewal, so that connections to it have to be left. */
  #refusesServer = false;
  /** Set while revocations wait for the end of older leases. */
  #closed: PromiseWithResolvers<void> | undefined = Promise.withResolvers<void>();
  #cancelOpening: (() => void) | undefined;

  constructor(lease: Lease, clock: Clock, onRefused: (cause: RefusalCause) => void = () => undefined) {
    this.#lease = lease;
    this.#clock = clock;
    this.#onRefused = onRefused;
  }

  /** The newest timeline that has answered; undefined before the first answer, or if the database has none. */
  get newest(): number | undefined {
    return this.#newest;
  }

  get timeline(): RawBuilder<string | null> {
    return this.#newest === undefined ? openGate.timeline : timelineOfServer;
  }

  admit(timeline: number | undefined): "use" | "repeat" {
    const isNews = this.#requireNewest(timeline);
    if (!this.#lease.holds) {
      this.#onRefused("lease");
      throw new DatabaseFailure(
        "no synchronous standby has confirmed for 2 s that this database is still the primary",
      );
    }
    return isNews ? "repeat" : "use";
  }

  written(timeline: string | null): void {
    if (timeline !== null) this.#requireNewest(Number.parseInt(timeline, 16));
  }

  passed(): Promise<void> | undefined {
    return this.#closed?.promise;
  }

  /**
   * Takes a confirmed renewal. It is "refused" if its server is behind the newest timeline: it lacks what was committed there. It
   * counts again once `sessiond recover` has run there. Timelines of another database cannot be compared. "moved": the process may
   * have connections to another server than this one, which is the primary.
   */
  renewed(renewal: Renewal, startedAt: Moment): "refused" | "kept" | "moved" {
    const { timeline, system, recoveryId } = renewal;
    const last = this.#last;
    const isComparable = system === last?.system && recoveryId === last?.recoveryId;
    if (isComparable && isBelow(timeline, this.#newest)) {
      this.#refusesServer = true;
      return "refused";
    }
    if (timeline !== this.#newest) this.#follow(timeline);
    const isKept = timeline === last?.timeline && system === last?.system && !this.#refusesServer;
    this.#refusesServer = false;
    this.#last = renewal;
    this.#lease.renewed(startedAt, renewal.isSynchronous);
    if (!renewal.hasOlderLeases) this.#open();
    return isKept ? "kept" : "moved";
  }

  /** Whether the timeline is newer than all before. Throws if it is older than the newest. */
  #requireNewest(timeline: number | undefined): boolean {
    if (timeline === this.#newest || timeline === undefined) return false;
    if (isBelow(timeline, this.#newest)) {
      this.#refusesServer = true;
      this.#onRefused("timeline");
      throw new DatabaseFailure(
        `a server on timeline ${timeline} answered, but timeline ${this.#newest} of this database has answered before`,
      );
    }
    this.#follow(timeline);
    return true;
  }

  /** From now on, only this timeline counts. Leases that were renewed on others end within 2 s. */
  #follow(timeline: number | undefined): void {
    this.#newest = timeline;
    this.#closed ??= Promise.withResolvers<void>();
    this.#cancelOpening?.();
    this.#cancelOpening = this.#clock.after(leaseMs + marginMs, () => this.#open());
  }

  #open(): void {
    this.#cancelOpening?.();
    this.#closed?.resolve();
    this.#closed = undefined;
  }
}

function isBelow(timeline: number | undefined, newest: number | undefined): boolean {
  return timeline !== undefined && newest !== undefined && timeline < newest;
}
