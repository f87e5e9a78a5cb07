import type { Clock } from "../clock.ts";
import type { ProjectId } from "../ids.ts";
import { type FeedMessage, type FeedOptions, ProjectFeed, defaultFeedOptions } from "./project-feed.ts";
import { type RevocationLog, revisionOutOfRange } from "./revocation-log.ts";

/** Where a watcher starts. */
export type WatchStart = "now" | "oldest" | "snapshot" | { readonly after: number };

/** What a watcher wants; the heartbeat in milliseconds. */
export interface Watch {
  readonly projectId: ProjectId;
  readonly start: WatchStart;
  readonly heartbeat: number;
  /** Ends the watch with its reason. */
  readonly signal: AbortSignal;
}

/** The feeds of all projects that somebody watches: one reader each, however many watchers. */
export class RevocationFeeds {
  readonly #log: RevocationLog;
  readonly #clock: Clock;
  readonly #now: () => Date;
  readonly #options: FeedOptions;
  readonly #feeds = new Map<ProjectId, ProjectFeed>();

  constructor(log: RevocationLog, clock: Clock, now: () => Date, options: FeedOptions = defaultFeedOptions) {
    this.#log = log;
    this.#clock = clock;
    this.#now = now;
    this.#options = options;
  }

  /** How many watch. */
  get watchers(): number {
    return Array.from(this.#feeds.values(), (feed) => feed.watchers).reduce((sum, count) => sum + count, 0);
  }

  /** How long ago the log was read, in milliseconds, of the project where it is longest; 0 where nobody watches. */
  get staleness(): number {
    const now = this.#clock.now();
    return Math.max(
      0,
      ...Array.from(this.#feeds.values(), (feed) => now - feed.askedAt).filter(Number.isFinite),
    );
  }

  /** Something was committed to this project, or, where undefined, to any. */
  changed(projectId: ProjectId | undefined): void {
    if (projectId === undefined) for (const feed of this.#feeds.values()) feed.refresh();
    else this.#feeds.get(projectId)?.refresh();
  }

  /**
   * The project's revocations from `start` on, each once, in order, none missing; the first message comes at once. Ends only
   * by failing: with the signal's reason, REVISION_OUT_OF_RANGE, WATCHER_TOO_SLOW or DATABASE_UNAVAILABLE.
   */
  async *watch(watch: Watch): AsyncGenerator<FeedMessage, never> {
    const startedAt = this.#clock.now();
    const feed = this.#join(watch);
    try {
      await feed.freshSince(startedAt, watch.signal);
      let revision = await this.#startOf(watch, feed.head);
      let joined = false;
      let sentAt = -Infinity;
      for (;;) {
        const piece = await feed.after(revision, joined);
        joined ||= piece.caughtUp;
        if (piece.revocations.length > 0 || this.#clock.now() - sentAt >= watch.heartbeat) {
          ({ revision } = piece);
          yield { ...piece, elapsed: piece.askedAt - startedAt };
          sentAt = this.#clock.now();
        } else {
          await feed.next(sentAt + watch.heartbeat, watch.signal);
        }
      }
    } finally {
      this.#leave(watch, feed);
    }
  }

  #join({ projectId, heartbeat }: Watch): ProjectFeed {
    const known = this.#feeds.get(projectId);
    const feed = known ?? new ProjectFeed(projectId, this.#log, this.#clock, this.#options);
    this.#feeds.set(projectId, feed);
    feed.join(heartbeat);
    return feed;
  }

  #leave({ projectId, heartbeat }: Watch, feed: ProjectFeed): void {
    feed.leave(heartbeat);
    if (feed.watchers === 0 && this.#feeds.get(projectId) === feed) this.#feeds.delete(projectId);
  }

  async #startOf({ projectId, start }: Watch, head: number): Promise<number> {
    if (start === "now") return head;
    if (start === "snapshot") return this.#log.oldestRelevantRevision(projectId, this.#now());
    if (start === "oldest") return this.#log.oldestResumable(projectId);
    // Whether the log still reaches back so far shows when it is read.
    if (start.after <= head) return start.after;
    throw await revisionOutOfRange(this.#log, projectId, head);
  }
}
