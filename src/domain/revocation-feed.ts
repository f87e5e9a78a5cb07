import type { Clock } from "./clock.ts";
import type { ProjectId, SessionId } from "./ids.ts";
import { ProjectFeed, revisionOutOfRange } from "./project-feed.ts";
import type { Revocation } from "./revocation.ts";

/** A revocation as watchers see it. */
export interface LoggedRevocation extends Pick<Revocation, "revision" | "scope" | "time" | "cause"> {
  readonly targetId: string;
  /** The session within the scope that was spared. */
  readonly spared: SessionId | undefined;
  /** When the last JWT signed before has expired. */
  readonly matterUntil: Date;
}

/** A revocation as auditors see it. */
export interface RecordedRevocation extends LoggedRevocation, Pick<Revocation, "actor" | "reason"> {}

/** A piece of the log. */
export interface LogPage {
  readonly revocations: readonly LoggedRevocation[];
  /** The newest committed revision, as of the same snapshot. */
  readonly head: number;
}

/** The log of revocations, as a feed reads it. Fails with DATABASE_UNAVAILABLE. */
export interface RevocationLog {
  /** At most `limit` revocations after revision `after`. */
  readRevocations(projectId: ProjectId, after: number, limit: number): Promise<LogPage>;
  /** The revision that a watcher can resume after at the earliest. */
  oldestResumable(projectId: ProjectId): Promise<number>;
  /** The revision after which lies everything that can still matter at `now`. */
  firstThatMatters(projectId: ProjectId, now: Date): Promise<number>;
}

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
    if (start === "snapshot") return this.#log.firstThatMatters(projectId, this.#now());
    if (start === "oldest") return this.#log.oldestResumable(projectId);
    // Whether the log still reaches back so far shows when it is read.
    if (start.after <= head) return start.after;
    throw await revisionOutOfRange(this.#log, projectId, head);
  }
}
