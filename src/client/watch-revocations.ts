import type { WatchRevocationsResponse } from "../../gen/session/v1/session_service_pb.ts";
import { machineClock } from "./clock.ts";
import { type StreamStart, isPermanent, subscribe } from "./subscribe.ts";
import { type ConnectOptions, connect } from "./transport.ts";

export interface WatchRevocationsOptions extends ConnectOptions {
  /** Starts with the next commit if `case` is undefined. */
  readonly start: StreamStart;
  /** Longest silence of the server, in milliseconds; 1,000 by default. */
  readonly heartbeatMs?: number;
  /** Ends the watch, without an error. */
  readonly signal: AbortSignal;
  /** Called when a started stream breaks, before it resumes after this position. */
  readonly onDisconnect?: (error: Error, position: string) => void;
}

/**
 * Yields the messages of `WatchRevocations` across streams. A stream that breaks, or is silent for three heartbeats, resumes
 * after the last position, so that no message is missing or repeated. Throws if the first stream cannot start, and for failures
 * that a retry cannot mend, such as a rejected credential, a log that no longer reaches back far enough, or a log that is not the
 * one that was followed (HISTORY_CHANGED): the caller decides what becomes of the messages that it has.
 */
export async function* watchRevocations({
  start,
  heartbeatMs = 1000,
  signal,
  onDisconnect,
  ...connection
}: WatchRevocationsOptions): AsyncGenerator<WatchRevocationsResponse, undefined> {
  let last: string | undefined;
  const events = subscribe({
    open: () => connect(connection),
    nextStart: () => (last === undefined ? start : { case: "after", value: last }),
    heartbeatMs,
    clock: machineClock,
    signal,
  });
  for await (const event of events) {
    if (event.kind === "message") {
      yield event.message;
      last = event.message.position;
    } else if (event.kind === "disconnected") {
      if (last === undefined || isPermanent(event.error)) throw event.error;
      onDisconnect?.(event.error, last);
    }
  }
}
