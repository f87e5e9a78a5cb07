import type { Clock } from "../clock.ts";
import { SessiondError } from "../errors.ts";
import type { ProjectId } from "../ids.ts";
import type { FeedOptions, FeedPiece } from "./feed-message.ts";
import { type HistoryDifference, type LogBounds, differenceTo } from "./history.ts";
import type { Position } from "./position.ts";
import { type RevocationLog, outOfLog } from "./revocation-log.ts";
import { RevocationRing, isComplete, pageSize } from "./revocation-ring.ts";
import { Wakeups } from "./wakeups.ts";

export interface ProjectFeedOptions extends Omit<FeedOptions, "pollInterval"> {
  /** Asked before each poll. */
  readonly pollInterval: () => number;
}

/**
 * Reads one project's log for all its watchers in this process: on each notification, and at least once per shortest
 * heartbeat. Each watcher keeps its own position, so that a slow one does not delay the others.
 *
 * A feed follows one history. Each read begins with the revocation that the feed has already. If the log has another one there,
 * or does not reach there, the feed ends: its watchers fail with HISTORY_CHANGED at once, and the next watcher gets a new feed.
 */
export class ProjectFeed {
  readonly #projectId: ProjectId;
  readonly #log: RevocationLog;
  readonly #clock: Clock;
  readonly #options: ProjectFeedOptions;
  readonly #heartbeats: number[] = [];
  readonly #wakeups: Wakeups;
  /** Undefined before the first read. */
  #ring: RevocationRing | undefined;
  /** The newest position that this process has read or written elsewhere; the next read must show it. */
  #seen: Position | undefined;
  #recoveryIds: readonly string[] = [];
  #askedAt = -Infinity;
  #reading = false;
  #readAgain = false;
  #failingSince: number | undefined;
  #failure: unknown;
  #ended: Promise<SessiondError> | undefined;
  #cancelPoll: (() => void) | undefined;

  constructor(
    projectId: ProjectId,
    log: RevocationLog,
    clock: Clock,
    options: ProjectFeedOptions,
    seen: Position | undefined,
  ) {
    this.#projectId = projectId;
    this.#log = log;
    this.#clock = clock;
    this.#wakeups = new Wakeups(clock);
    this.#options = options;
    this.#seen = seen;
  }

  get watchers(): number {
    return this.#heartbeats.length;
  }

  /** Whether the log is not the one that this feed has followed. */
  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** The newest position that was read; undefined before the first read. */
  get head(): Position | undefined {
    return this.#ring?.head;
  }

  /** The newest position that this process knows. */
  get newest(): Position | undefined {
    const { head } = this;
    const seen = this.#seen;
    return seen !== undefined && seen.revision > (head?.revision ?? -1) ? seen : head;
  }

  /** Ids of the recoveries of the history, newest first. */
  get recoveryIds(): readonly string[] {
    return this.#recoveryIds;
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
    if (this.hasEnded) return;
    if (this.#reading) this.#readAgain = true;
    else void this.#read();
  }

  /** Notes a position that this process has read or written. */
  note(position: Position): void {
    if (position.revision > (this.newest?.revision ?? -1)) this.#seen = position;
  }

  /** Resolves after a successful read that started at `time` or later. */
  async freshSince(time: number, signal: AbortSignal): Promise<void> {
    while (this.#askedAt < time) await this.next(Infinity, signal);
  }

  /**
   * The revocations after `position`, from the ring or the log. WATCHER_TOO_SLOW for a watcher that had `joined` the ring and is
   * behind it now, REVISION_OUT_OF_RANGE for one that the log's retention has overtaken, HISTORY_CHANGED for a position that is
   * not in the log.
   */
  async after(position: Position, joined: boolean): Promise<FeedPiece> {
    if (this.#ended !== undefined) throw await this.#ended;
    if (this.#failure !== undefined) throw this.#failure;
    const { revision } = position;
    const ring = this.#ring;
    if (ring !== undefined && revision >= ring.start.revision) {
      // Above the head if another read of this process found it. The next read of the feed compares it.
      const id = ring.idAt(revision) ?? position.id;
      if (id !== position.id) throw await this.#notInLog("HISTORY_CHANGED", ring.head);
      return this.#fromRing(ring, position);
    }
    if (joined) throw new SessiondError("WATCHER_TOO_SLOW");
    const askedAt = this.#clock.now();
    const page = await this.#log.readRevocations(this.#projectId, revision, pageSize);
    if (differenceTo(page, position, page.idBefore) !== undefined) {
      throw await this.#notInLog("HISTORY_CHANGED", page.head);
    }
    if (!isComplete(page, revision)) throw await this.#notInLog("REVISION_OUT_OF_RANGE", page.head);
    this.note(page.head);
    const { revocations } = page;
    const upToDate = revocations.length < pageSize;
    return {
      revocations,
      askedAt,
      upToDate,
      position: upToDate ? page.head : (revocations.at(-1) ?? page.head),
    };
  }

  /** Resolves after the next read, or at `time`. Rejects with the signal's reason, or if the feed fails. */
  async next(time: number, signal: AbortSignal): Promise<void> {
    if (!this.hasEnded) await this.#wakeups.wait(time, signal);
    if (signal.aborted) throw signal.reason;
    if (this.#ended !== undefined) throw await this.#ended;
    if (this.#failure !== undefined) throw this.#failure;
  }

  #fromRing(ring: RevocationRing, position: Position): FeedPiece {
    const revocations = ring.after(position.revision);
    const last = revocations.at(-1) ?? position;
    const upToDate = last.revision >= ring.head.revision;
    return { revocations, position: last, upToDate, askedAt: this.#askedAt };
  }

  #notInLog(reason: "HISTORY_CHANGED" | "REVISION_OUT_OF_RANGE", head: Position): Promise<SessiondError> {
    return outOfLog(reason, this.#log, this.#projectId, head);
  }

  async #read(): Promise<void> {
    this.#reading = true;
    this.#cancelPoll?.();
    let startedAt = this.#clock.now();
    try {
      do {
        this.#readAgain = false;
        startedAt = this.#clock.now();
        await (this.#ring === undefined ? this.#readFirst() : this.#readOn(this.#ring));
        this.#failingSince = undefined;
        this.#failure = undefined;
        // Not after the loop, which does not end while revocations arrive fast.
        this.#wakeups.wakeAll();
      } while (this.#readAgain && this.watchers > 0 && !this.hasEnded);
    } catch (error) {
      // A silent database fails a read late, so the outage counts from the start of the read.
      this.#failingSince ??= startedAt;
      if (this.#clock.now() - this.#failingSince >= this.#options.patience) this.#failure = error;
      this.#wakeups.wakeAll();
    } finally {
      this.#reading = false;
      if (this.watchers > 0 && !this.hasEnded) {
        this.#cancelPoll = this.#clock.after(this.#interval(), () => this.refresh());
      }
    }
  }

  /** Finds the head, where the ring starts: watchers read older revocations from the log. */
  async #readFirst(): Promise<void> {
    const askedAt = this.#clock.now();
    const seen = this.#seen;
    const read = await this.#log.readHead(this.#projectId, seen?.revision ?? 0);
    const difference = seen && differenceTo(read, seen, read.idAt);
    // Reported only: watchers learn it by their own positions.
    if (seen !== undefined && difference !== undefined) this.#report(difference, seen, read);
    if (this.#seen === seen) this.#seen = undefined;
    this.#ring = new RevocationRing(this.#options.ringSize, read.head);
    this.#recoveryIds = read.recoveryIds;
    this.#askedAt = askedAt;
  }

  async #readOn(ring: RevocationRing): Promise<void> {
    const askedAt = this.#clock.now();
    const known = ring.head;
    const seen = this.#seen;
    const page = await this.#log.readRevocations(this.#projectId, known.revision, pageSize);
    const difference = differenceTo(page, known, page.idBefore);
    if (difference !== undefined) return this.#end(difference, known, page);
    // A position that was noted during the read may be newer than the read.
    if (seen !== undefined && seen.revision > page.head.revision) return this.#end("lower", seen, page);
    if (!isComplete(page, known.revision)) {
      // Retention has overtaken this feed. Its watchers fail, and learn when they resume whether they can.
      ring.restart(page.head);
    } else {
      ring.append(page.revocations);
      const noted = this.#seen;
      const id = noted && ring.idAt(noted.revision);
      if (id !== undefined && id !== noted?.id) return this.#end("replaced", noted ?? known, page);
      if (page.revocations.length > 0) this.#options.onRead?.(page.revocations);
    }
    if (this.#seen !== undefined && this.#seen.revision <= ring.head.revision) this.#seen = undefined;
    if (ring.head.revision >= page.head.revision) this.#askedAt = askedAt;
    else this.#readAgain = true;
  }

  /** Fails all watchers, and keeps only where the other log stands. */
  #end(difference: HistoryDifference, known: Position, { head, start }: LogBounds): void {
    this.#ended = this.#notInLog("HISTORY_CHANGED", head).catch(() => new SessiondError("HISTORY_CHANGED"));
    this.#ring = new RevocationRing(this.#options.ringSize, head);
    this.#seen = undefined;
    this.#report(difference, known, { head, start });
  }

  #report(difference: HistoryDifference, known: Position, { head }: LogBounds): void {
    this.#options.onHistoryChange?.({ projectId: this.#projectId, difference, known, head });
  }

  /** The poll interval: fresh data for every heartbeat, and a short one while reads fail. */
  #interval(): number {
    const interval = this.#failingSince === undefined ? this.#options.pollInterval() : 250;
    return Math.min(interval, ...this.#heartbeats);
  }
}
