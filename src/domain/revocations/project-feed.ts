import type { Clock } from "../clock.ts";
import { SessiondError } from "../errors.ts";
import type { ProjectId } from "../ids.ts";
import { type LoggedRevocation, type RevocationLog, revisionOutOfRange } from "./revocation-log.ts";
import { RevocationRing, isComplete, pageSize } from "./revocation-ring.ts";

/** Revocations; none in a heartbeat. */
export interface FeedMessage {
  readonly revocations: readonly LoggedRevocation[];
  /** All revocations up to this revision have been sent. */
  readonly revision: number;
  /** Whether nothing newer was committed when the log was read. */
  readonly upToDate: boolean;
  /** Milliseconds from the start of the watch to the start of the read. */
  readonly readOffset: number;
}

/** Options of feeds; times are in milliseconds. */
export interface FeedOptions {
  /** How often the log is read without a notification. */
  readonly pollInterval: number;
  /** How many revocations are kept for watchers that are a little behind. */
  readonly ringSize: number;
  /** How long reads may fail before the watchers fail. */
  readonly patience: number;
  /** Called with revocations that were read for the first time. */
  readonly onRead?: (revocations: readonly LoggedRevocation[]) => void;
}

export const defaultFeedOptions: FeedOptions = { pollInterval: 1000, ringSize: 10_000, patience: 3000 };

/** Cause of a failure if the head decreases. */
const setBack = "the project's revision decreased: the database was restored to an earlier state";

/** A part of the log, and when the read of it started. */
export interface FeedPiece extends Omit<FeedMessage, "readOffset"> {
  readonly askedAt: number;
}

/**
 * Reads one project's log for all its watchers in this process: on each notification, and at least once per shortest
 * heartbeat. Each watcher keeps its own position, so that a slow one does not delay the others.
 */
export class ProjectFeed {
  readonly #projectId: ProjectId;
  readonly #log: RevocationLog;
  readonly #clock: Clock;
  readonly #options: FeedOptions;
  readonly #heartbeats: number[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #ring: RevocationRing;
  #askedAt = -Infinity;
  #reading = false;
  #readAgain = false;
  #failingSince: number | undefined;
  #failure: unknown;
  #cancelPoll: (() => void) | undefined;

  constructor(projectId: ProjectId, log: RevocationLog, clock: Clock, options: FeedOptions) {
    this.#projectId = projectId;
    this.#log = log;
    this.#clock = clock;
    this.#options = options;
    this.#ring = new RevocationRing(options.ringSize);
  }

  get watchers(): number {
    return this.#heartbeats.length;
  }

  /** The newest known revision. */
  get head(): number {
    return this.#ring.head;
  }

  /** When the last successful read started, on the clock; -Infinity before the first one. */
  get askedAt(): number {
    return this.#askedAt;
  }

  /** Adds a watcher. */
  join(heartbeat: number): void {
    this.#heartbeats.push(heartbeat);
    this.refresh();
  }

  /** Removes a watcher; polling stops with the last one. */
  leave(heartbeat: number): void {
    this.#heartbeats.splice(this.#heartbeats.indexOf(heartbeat), 1);
    if (this.watchers === 0) this.#cancelPoll?.();
  }

  /** Reads the log now, or after the read under way: that one may have started too early. */
  refresh(): void {
    if (this.#reading) this.#readAgain = true;
    else void this.#read();
  }

  /** Resolves after a successful read that started at `time` or later. */
  async freshSince(time: number, signal: AbortSignal): Promise<void> {
    while (this.#askedAt < time) await this.next(Infinity, signal);
  }

  /**
   * The revocations after `revision`, from the ring or the log. WATCHER_TOO_SLOW for a watcher that had `joined` the ring and
   * is behind it now; REVISION_OUT_OF_RANGE for one that the log's retention has overtaken.
   */
  async after(revision: number, joined: boolean): Promise<FeedPiece> {
    if (this.#failure !== undefined) throw this.#failure;
    if (revision >= this.#ring.start) return this.#fromRing(revision);
    if (joined) throw new SessiondError("WATCHER_TOO_SLOW");
    const askedAt = this.#clock.now();
    const page = await this.#log.readRevocations(this.#projectId, revision, pageSize);
    const { revocations, head } = page;
    if (!isComplete(page, revision)) throw await revisionOutOfRange(this.#log, this.#projectId, head);
    const upToDate = revocations.length < pageSize;
    return {
      revocations,
      askedAt,
      upToDate,
      revision: upToDate ? head : (revocations.at(-1)?.revision ?? head),
    };
  }

  /** Resolves after the next read, or at `time`. Rejects with the signal's reason, or if reads fail for too long. */
  async next(time: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wait = time - this.#clock.now();
      const done = () => {
        cancel?.();
        signal.removeEventListener("abort", done);
        this.#waiting.delete(done);
        resolve();
      };
      const cancel = Number.isFinite(wait) ? this.#clock.after(Math.max(0, wait), done) : undefined;
      this.#waiting.add(done);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
    if (signal.aborted) throw signal.reason;
    if (this.#failure !== undefined) throw this.#failure;
  }

  #fromRing(revision: number): FeedPiece {
    const revocations = this.#ring.after(revision);
    const last = revocations.at(-1)?.revision ?? revision;
    return { revocations, revision: last, upToDate: last >= this.head, askedAt: this.#askedAt };
  }

  async #read(): Promise<void> {
    this.#reading = true;
    this.#cancelPoll?.();
    let startedAt = this.#clock.now();
    try {
      do {
        this.#readAgain = false;
        startedAt = this.#clock.now();
        await this.#readOnce();
        this.#failingSince = undefined;
        this.#failure = undefined;
        // Not after the loop, which does not end while revocations arrive fast.
        this.#wakeAll();
      } while (this.#readAgain && this.watchers > 0);
    } catch (error) {
      // A silent database fails a read late, so the outage counts from the start of the read.
      this.#failingSince ??= startedAt;
      if (this.#clock.now() - this.#failingSince >= this.#options.patience) this.#failure = error;
      this.#wakeAll();
    } finally {
      this.#reading = false;
      if (this.watchers > 0) this.#cancelPoll = this.#clock.after(this.#interval(), () => this.refresh());
    }
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }

  async #readOnce(): Promise<void> {
    const askedAt = this.#clock.now();
    if (this.#askedAt === -Infinity) {
      // Watchers read older revocations from the log, so the ring starts at the head.
      const { head } = await this.#log.readRevocations(this.#projectId, Number.MAX_SAFE_INTEGER, 1);
      this.#ring.restart(head);
      this.#askedAt = askedAt;
      return;
    }
    const known = this.head;
    const page = await this.#log.readRevocations(this.#projectId, known, pageSize);
    const { revocations, head } = page;
    if (head < known) throw new SessiondError("DATABASE_UNAVAILABLE", { cause: new Error(setBack) });
    if (!isComplete(page, known)) {
      // Retention has overtaken this feed. Its watchers fail, and learn when they resume whether they can.
      this.#ring.restart(head);
      this.#askedAt = askedAt;
      return;
    }
    this.#ring.append(revocations);
    if (revocations.length > 0) this.#options.onRead?.(revocations);
    if (this.head >= head) this.#askedAt = askedAt;
    else this.#readAgain = true;
  }

  /** The poll interval: fresh data for every heartbeat, and a short one while reads fail. */
  #interval(): number {
    const interval = Math.min(this.#options.pollInterval, ...this.#heartbeats);
    return this.#failingSince === undefined ? interval : Math.min(interval, 250);
  }
}
