import type { Clock } from "../clock.ts";
import type { ProjectId } from "../ids.ts";
import { type FeedMessage, type FeedOptions, ProjectFeed, defaultFeedOptions } from "./project-feed.ts";
import { type RevocationLog, revisionOutOfRange } from "./revocation-log.ts";

export type WatchStart = "now" | "oldest" | "snapshot" | { readonly after: number };

export interface WatchOptions {
  readonly projectId: ProjectId;
  readonly start: WatchStart;
  /** In milliseconds. */
  readonly heartbeat: number;
  /** Ends the watch with its reason. */
  readonly signal: AbortSignal;
}

/** The feeds of all watched projects: one reader per project for any number of watchers. */
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

  get watchers(): number {
    return Array.from(this.#feeds.values(), (feed) => feed.watchers).reduce((sum, count) => sum + count, 0);
  }

  /** Age of the oldest last read among the watched projects, in milliseconds; 0 without watchers. */
  get staleness(): number {
    const now = this.#clock.now();
    return Math.max(
      0,
      ...Array.from(this.#feeds.values(), (feed) => now - feed.askedAt).filter(Number.isFinite),
    );
  }

  /** Reads the log of a project that has changed; of all projects if undefined. */
  changed(projectId: ProjectId | undefined): void {
    if (projectId === undefined) for (const feed of this.#feeds.values()) feed.refresh();
    else this.#feeds.get(projectId)?.refresh();
  }

  /**
   * Streams the project's revocations from `start` on, each once, in order and without gaps. The first message comes at once.
   * Ends only by failing: with the signal's reason, REVISION_OUT_OF_RANGE, WATCHER_TOO_SLOW or DATABASE_UNAVAILABLE.
   */
  async *watch(options: WatchOptions): AsyncGenerator<FeedMessage, never> {
    const startedAt = this.#clock.now();
    const feed = this.#join(options);
    try {
      await feed.freshSince(startedAt, options.signal);
      let revision = await this.#startOf(options, feed.head);
      let joined = false;
      let sentAt = -Infinity;
      for (;;) {
        const piece = await feed.after(revision, joined);
        joined ||= piece.upToDate;
        if (piece.revocations.length > 0 || this.#clock.now() - sentAt >= options.heartbeat) {
          ({ revision } = piece);
          yield { ...piece, readOffset: piece.askedAt - startedAt };
          sentAt = this.#clock.now();
        } else {
          await feed.next(sentAt + options.heartbeat, options.signal);
        }
      }
    } finally {
      this.#leave(options, feed);
    }
  }

  #join({ projectId, heartbeat }: WatchOptions): ProjectFeed {
    const feed =
      this.#feeds.get(projectId) ?? new ProjectFeed(projectId, this.#log, this.#clock, this.#options);
    this.#feeds.set(projectId, feed);
    feed.join(heartbeat);
    return feed;
  }

  #leave({ projectId, heartbeat }: WatchOptions, feed: ProjectFeed): void {
    feed.leave(heartbeat);
    if (feed.watchers === 0 && this.#feeds.get(projectId) === feed) this.#feeds.delete(projectId);
  }

  async #startOf({ projectId, start }: WatchOptions, head: number): Promise<number> {
    if (start === "now") return head;
    if (start === "snapshot") return this.#log.oldestRelevantRevision(projectId, this.#now());
    if (start === "oldest") return this.#log.oldestResumable(projectId);
    // Whether the log still reaches back that far is found out when it is read.
    if (start.after <= head) return start.after;
    throw await revisionOutOfRange(this.#log, projectId, head);
  }
}
