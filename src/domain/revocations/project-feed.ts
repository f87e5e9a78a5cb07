import type { Clock } from "../clock.ts";
import { SessiondError } from "../errors.ts";
import type { ProjectId } from "../ids.ts";
import {
  type LogPage,
  type LoggedRevocation,
  type RevocationLog,
  revisionOutOfRange,
} from "./revocation-log.ts";

/** Revocations, or none: then a heartbeat. */
export interface FeedMessage {
  readonly revocations: readonly LoggedRevocation[];
  /** Everything up to this revision has been sent. */
  readonly revision: number;
  /** Whether nothing newer was committed when the database was asked. */
  readonly caughtUp: boolean;
  /** Milliseconds from the start of the watch to the moment when the database was asked. */
  readonly elapsed: number;
}

/** How feeds work; times in milliseconds. */
export interface FeedOptions {
  /** How often the log is read even if nobody says that something was committed. */
  readonly pollInterval: number;
  /** How many revocations are kept at hand for watchers that are a little behind. */
  readonly ringSize: number;
  /** How long a database that does not answer is put up with before watchers are sent elsewhere. */
  readonly patience: number;
  /** Told of revocations that have just been read for the first time here. */
  readonly onRead?: (revocations: readonly LoggedRevocation[]) => void;
}

/** Good for most. */
export const defaultFeedOptions: FeedOptions = { pollInterval: 1000, ringSize: 10_000, patience: 3000 };

/** Most revocations read, and sent, at once. */
const pageSize = 1000;

/** Why a head that is less than it was is not believed. */
const setBack = "the project's revision is less than it was: the database was set back to an earlier time";

/** Whether a page begins right after `after` and leaves nothing out: no revision is ever skipped. */
function isWhole({ revocations, head }: LogPage, after: number): boolean {
  const last = revocations.at(-1)?.revision ?? after;
  return last === after + revocations.length && (last >= head || revocations.length === pageSize);
}

/** A piece of the log, and when the database was asked for it, by the clock. */
export interface FeedPiece extends Omit<FeedMessage, "elapsed"> {
  readonly askedAt: number;
}

/**
 * Reads one project's log for all its watchers here. It reads when told that something was committed, and at least as often
 * as the most demanding heartbeat asks; each watcher keeps its own place and takes what it lacks, so that a slow one costs
 * the others nothing.
 */
export class ProjectFeed {
  readonly #projectId: ProjectId;
  readonly #log: RevocationLog;
  readonly #clock: Clock;
  readonly #options: FeedOptions;
  readonly #heartbeats: number[] = [];
  readonly #waiting = new Set<() => void>();
  /** The newest revocations; the first of them has revision `#ringStart` + 1. */
  #ring: LoggedRevocation[] = [];
  #ringStart = 0;
  #head = 0;
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
  }

  /** How many watch. */
  get watchers(): number {
    return this.#heartbeats.length;
  }

  /** The newest revision that is known. */
  get head(): number {
    return this.#head;
  }

  /** When the database was last asked, by the clock, for what is known; -Infinity before the first time. */
  get askedAt(): number {
    return this.#askedAt;
  }

  /** A watcher with this heartbeat comes. */
  join(heartbeat: number): void {
    this.#heartbeats.push(heartbeat);
    this.refresh();
  }

  /** It goes; the last one ends the reading. */
  leave(heartbeat: number): void {
    this.#heartbeats.splice(this.#heartbeats.indexOf(heartbeat), 1);
    if (this.watchers === 0) this.#cancelPoll?.();
  }

  /** Reads what is new, now, or again once the reading under way has ended: that one may have started too early. */
  refresh(): void {
    if (this.#reading) this.#readAgain = true;
    else void this.#read();
  }

  /** Resolves once the database has been asked after `time`. */
  async freshSince(time: number, signal: AbortSignal): Promise<void> {
    while (this.#askedAt < time) await this.next(Infinity, signal);
  }

  /**
   * What comes after `revision`, from the ring or the log; none where there is nothing. A watcher that had `joined` the ring
   * and is behind it fails with WATCHER_TOO_SLOW; one that the log's retention overtakes with REVISION_OUT_OF_RANGE.
   */
  async after(revision: number, joined: boolean): Promise<FeedPiece> {
    if (this.#failure !== undefined) throw this.#failure;
    if (revision >= this.#ringStart) return this.#fromRing(revision);
    if (joined) throw new SessiondError("WATCHER_TOO_SLOW");
    const askedAt = this.#clock.now();
    const page = await this.#log.readRevocations(this.#projectId, revision, pageSize);
    const { revocations, head } = page;
    if (!isWhole(page, revision)) throw await revisionOutOfRange(this.#log, this.#projectId, head);
    const caughtUp = revocations.length < pageSize;
    return {
      revocations,
      askedAt,
      caughtUp,
      revision: caughtUp ? head : (revocations.at(-1)?.revision ?? head),
    };
  }

  /** Resolves when something has been read, or at `time`; rejects with the signal's reason, or when reading fails for too long. */
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
    const from = revision - this.#ringStart;
    const revocations = this.#ring.slice(from, from + pageSize);
    const last = revocations.at(-1)?.revision ?? revision;
    return { revocations, revision: last, caughtUp: last >= this.#head, askedAt: this.#askedAt };
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
        // Now, not at the end: while revocations come fast there is always more to read.
        this.#wakeAll();
      } while (this.#readAgain && this.watchers > 0);
    } catch (error) {
      // A database that is silent fails the reading late: it did not answer from the start of it.
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
      // Nobody needs what was there before from the ring: it starts at the head.
      const { head } = await this.#log.readRevocations(this.#projectId, Number.MAX_SAFE_INTEGER, 1);
      this.#startRing(head);
      this.#askedAt = askedAt;
      return;
    }
    const page = await this.#log.readRevocations(this.#projectId, this.#head, pageSize);
    const { revocations, head } = page;
    if (head < this.#head) throw new SessiondError("DATABASE_UNAVAILABLE", { cause: new Error(setBack) });
    if (!isWhole(page, this.#head)) {
      // Retention has overtaken a reader that stood still. Its watchers are told to resume, and find out whether they can.
      this.#startRing(head);
      this.#askedAt = askedAt;
      return;
    }
    this.#ring.push(...revocations);
    if (revocations.length > 0) this.#options.onRead?.(revocations);
    const excess = this.#ring.length - this.#options.ringSize;
    if (excess > 0) {
      this.#ring.splice(0, excess);
      this.#ringStart += excess;
    }
    this.#head = revocations.at(-1)?.revision ?? this.#head;
    if (this.#head >= head) this.#askedAt = askedAt;
    else this.#readAgain = true;
  }

  #startRing(head: number): void {
    this.#ring = [];
    this.#ringStart = head;
    this.#head = head;
  }

  /** Often enough for every heartbeat to carry something fresh; more often while the database does not answer. */
  #interval(): number {
    const interval = Math.min(this.#options.pollInterval, ...this.#heartbeats);
    return this.#failingSince === undefined ? interval : Math.min(interval, 250);
  }
}
