import { LRUCache } from "lru-cache";
import type { Clock } from "../clock.ts";
import type { ProjectId } from "../ids.ts";
import type { Position } from "./position.ts";
import { type FeedMessage, type FeedOptions, defaultFeedOptions } from "./feed-message.ts";
import { ProjectFeed, type ProjectFeedOptions } from "./project-feed.ts";
import { type RevocationLog, outOfLog } from "./revocation-log.ts";

export type WatchStart = "now" | "oldest" | "snapshot" | { readonly after: Position };

export interface WatchOptions {
  readonly projectId: ProjectId;
  readonly start: WatchStart;
  /** In milliseconds. */
  readonly heartbeat: number;
  /** Ends the watch with its reason. */
  readonly signal: AbortSignal;
}

/**
 * How often logs are read while notifications do not arrive, in milliseconds: each watched project this often, but all together
 * at most 200 times per second.
 */
const deafPoll = { projectMs: 50, readMs: 5 };

/** Number of projects without watchers whose newest position is remembered. */
const maxRemembered = 10_000;

/** The feeds of all watched projects: one reader per project for any number of watchers. */
export class RevocationFeeds {
  readonly #log: RevocationLog;
  readonly #clock: Clock;
  readonly #now: () => Date;
  readonly #options: ProjectFeedOptions;
  readonly #feeds = new Map<ProjectId, ProjectFeed>();
  #hearsOthers = true;
  /** The newest position that this process knows of projects without a feed, for the next feed to compare. */
  readonly #remembered = new LRUCache<ProjectId, Position>({ max: maxRemembered });

  constructor(log: RevocationLog, clock: Clock, now: () => Date, options: FeedOptions = defaultFeedOptions) {
    this.#log = log;
    this.#clock = clock;
    this.#now = now;
    this.#options = { ...options, pollInterval: () => this.#pollInterval(options.pollInterval) };
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

  /** Takes whether the notifications of other replicas arrive. While they do not, logs are read often. */
  hear(hearsOthers: boolean): void {
    if (hearsOthers === this.#hearsOthers) return;
    this.#hearsOthers = hearsOthers;
    this.changed(undefined);
  }

  #pollInterval(usual: number): number {
    if (this.#hearsOthers) return usual;
    return Math.min(usual, Math.max(deafPoll.projectMs, deafPoll.readMs * this.#feeds.size));
  }

  /** Reads the log of a project that this process has written to, up to `head`. */
  wrote(projectId: ProjectId, head: Position): void {
    const feed = this.#feeds.get(projectId);
    if (feed === undefined) this.#remember(projectId, head);
    feed?.note(head);
    feed?.refresh();
  }

  /**
   * Streams the project's revocations from `start` on, each once, in order and without gaps. The first message comes at once.
   * Ends only by failing: with the signal's reason, HISTORY_CHANGED, REVISION_OUT_OF_RANGE, WATCHER_TOO_SLOW or
   * DATABASE_UNAVAILABLE.
   */
  async *watch(options: WatchOptions): AsyncGenerator<FeedMessage, never> {
    const startedAt = this.#clock.now();
    const feed = await this.#joinFresh(options, startedAt);
    try {
      let { recoveryIds } = feed;
      let position = await this.#startOf(options, feed);
      let joined = false;
      let sentAt = -Infinity;
      for (;;) {
        const piece = await feed.after(position, joined);
        joined ||= piece.upToDate;
        if (piece.revocations.length > 0 || this.#clock.now() - sentAt >= options.heartbeat) {
          ({ position } = piece);
          yield { ...piece, recoveryIds, readOffset: piece.askedAt - startedAt };
          recoveryIds = [];
          sentAt = this.#clock.now();
        } else {
          await feed.next(sentAt + options.heartbeat, options.signal);
        }
      }
    } finally {
      this.#leave(options, feed);
    }
  }

  /** Joins a feed that has read the log since `startedAt`. If one ends meanwhile, the watcher has missed nothing of it. */
  async #joinFresh(options: WatchOptions, startedAt: number): Promise<ProjectFeed> {
    for (;;) {
      const feed = this.#join(options);
      try {
        await feed.freshSince(startedAt, options.signal);
        return feed;
      } catch (error) {
        this.#leave(options, feed);
        if (options.signal.aborted || !feed.hasEnded) throw error;
      }
    }
  }

  #join({ projectId, heartbeat }: WatchOptions): ProjectFeed {
    let feed = this.#feeds.get(projectId);
    if (feed === undefined || feed.hasEnded) {
      const newest = feed === undefined ? this.#remembered.get(projectId) : feed.newest;
      feed = new ProjectFeed(projectId, this.#log, this.#clock, this.#options, newest);
      this.#feeds.set(projectId, feed);
    }
    feed.join(heartbeat);
    return feed;
  }

  #leave({ projectId, heartbeat }: WatchOptions, feed: ProjectFeed): void {
    feed.leave(heartbeat);
    if (feed.watchers > 0 || this.#feeds.get(projectId) !== feed) return;
    this.#feeds.delete(projectId);
    this.#remembered.delete(projectId);
    if (feed.newest !== undefined) this.#remember(projectId, feed.newest);
  }

  /** Keeps the newer one. Writes of one project may be reported in another order than they were committed in. */
  #remember(projectId: ProjectId, position: Position): void {
    const known = this.#remembered.get(projectId);
    if (known === undefined || position.revision > known.revision) this.#remembered.set(projectId, position);
  }

  async #startOf({ projectId, start }: WatchOptions, feed: ProjectFeed): Promise<Position> {
    if (start === "snapshot") return this.#log.oldestRelevant(projectId, this.#now());
    if (start === "oldest") return this.#log.oldestResumable(projectId);
    const { head } = feed;
    if (head === undefined) throw new Error("the feed has not read the log");
    if (start === "now") return head;
    // Whether the log has the position is found out when it is read.
    if (start.after.revision <= head.revision) return start.after;
    throw await outOfLog("HISTORY_CHANGED", this.#log, projectId, head);
  }
}
