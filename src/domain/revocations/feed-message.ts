import type { HistoryChange } from "./history.ts";
import type { Position } from "./position.ts";
import type { LoggedRevocation } from "./revocation-log.ts";

/** Revocations; none in a heartbeat. */
export interface FeedMessage {
  readonly revocations: readonly LoggedRevocation[];
  /** All revocations up to this position have been sent. */
  readonly position: Position;
  /** Whether nothing newer was committed when the log was read. */
  readonly upToDate: boolean;
  /** Milliseconds from the start of the watch to the start of the read. */
  readonly readOffset: number;
  /** In the first message: ids of the recoveries of the log, newest first. */
  readonly recoveryIds: readonly string[];
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
  /** Called if the log that was read is not the one that this process knew. */
  readonly onHistoryChange?: (change: HistoryChange) => void;
}

export const defaultFeedOptions: FeedOptions = { pollInterval: 1000, ringSize: 10_000, patience: 3000 };

/** A part of the log, and when the read of it started. */
export interface FeedPiece extends Omit<FeedMessage, "readOffset" | "recoveryIds"> {
  readonly askedAt: number;
}
