import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type {
  WatchRevocationsRequestSchema,
  WatchRevocationsResponse,
} from "../../gen/session/v1/session_service_pb.ts";
import { Backoff } from "../transport/backoff.ts";
import { type ClientClock, type Moment, momentOf } from "./clock.ts";
import { codeOf } from "./error-info.ts";
import type { Connection } from "./transport.ts";

export type StreamStart = NonNullable<MessageInitShape<typeof WatchRevocationsRequestSchema>["start"]>;

export type SubscriptionEvent =
  /** The first message of a stream has arrived. */
  | { readonly kind: "connected"; readonly start: StreamStart }
  | {
      readonly kind: "message";
      readonly message: WatchRevocationsResponse;
      /** When the call of this stream started. */
      readonly callStart: Moment;
      /** Ends this stream with an error. The subscription continues with the next one. */
      readonly fail: (error: Error) => void;
    }
  /** A stream has ended, or failed to start if it was never `connected`. The next attempt follows after a wait. */
  | { readonly kind: "disconnected"; readonly error: Error; readonly wasConnected: boolean };

export interface SubscribeOptions {
  /** Opens a connection of its own for each stream, so that it does not share the faults of another one. */
  readonly open: () => Connection;
  /** Returns where the next stream starts. */
  readonly nextStart: () => StreamStart;
  /** Longest silence of the server. A stream that is silent for three times as long counts as dead. */
  readonly heartbeatMs: number;
  readonly clock: ClientClock;
  /** Ends the subscription, without an error. */
  readonly signal: AbortSignal;
}

/** Wait between two streams. */
const backoffBounds = { firstMs: 50, maxMs: 5000 };

/** Shortest silence after which a stream counts as dead, in milliseconds; for the first message longer, because of cold servers. */
const minSilenceMs = 500;
const minFirstSilenceMs = 3000;

/** Codes of failures that the next attempt would meet again: the server has understood the request and rejected it. */
const permanentCodes: ReadonlySet<number | undefined> = new Set([
  Code.InvalidArgument,
  Code.Unauthenticated,
  Code.PermissionDenied,
  Code.NotFound,
  Code.Unimplemented,
  Code.OutOfRange,
]);

export function isPermanent(error: unknown): boolean {
  return permanentCodes.has(codeOf(error));
}

/** Follows the stream of revocations across streams and connections until `signal` aborts. Does not throw. */
export async function* subscribe(options: SubscribeOptions): AsyncGenerator<SubscriptionEvent, undefined> {
  const { open, nextStart, clock, signal } = options;
  const backoff = new Backoff(backoffBounds);
  let wasOutOfRange = false;
  while (!signal.aborted) {
    const connection = open();
    const start = nextStart();
    const callStart = momentOf(clock);
    let wasConnected = false;
    let error: Error | undefined;
    const fail = (cause: Error) => void (error = cause);
    try {
      for await (const message of openStream(connection, start, options)) {
        if (!wasConnected) yield { kind: "connected", start };
        wasConnected = true;
        yield { kind: "message", message, callStart, fail };
        if (error !== undefined) break;
        if (message.upToDate) backoff.reset();
      }
    } catch (cause) {
      error = cause instanceof Error ? cause : new Error(String(cause));
    } finally {
      connection.close();
    }
    if (signal.aborted) return;
    error ??= new Error("the server ended the stream");
    yield { kind: "disconnected", error, wasConnected };
    // The server works, and the next stream starts elsewhere. Only once, in case that does not help.
    const isOutOfRange = codeOf(error) === Code.OutOfRange;
    if (isOutOfRange && !wasOutOfRange) backoff.reset();
    wasOutOfRange = isOutOfRange;
    await pause(clock, backoff.nextMs(), signal);
  }
}

/** Yields the messages of one stream. Throws if it fails or is silent for too long. */
async function* openStream(
  { sessions }: Connection,
  start: StreamStart,
  { heartbeatMs, clock, signal }: SubscribeOptions,
): AsyncGenerator<WatchRevocationsResponse, undefined> {
  const silent = new AbortController();
  const ending = AbortSignal.any([signal, silent.signal]);
  const watchdog = (ms: number) =>
    clock.after(ms, () => {
      const text = `no message for ${ms} ms, not even a heartbeat`;
      silent.abort(new ConnectError(text, Code.Unavailable));
    });
  const silenceMs = Math.max(3 * heartbeatMs, minSilenceMs);
  let disarm = watchdog(Math.max(silenceMs, minFirstSilenceMs));
  try {
    const request = { heartbeat: durationFromMs(heartbeatMs), start };
    for await (const message of sessions.watchRevocations(request, { signal: ending, timeoutMs: 0 })) {
      disarm();
      yield message;
      disarm = watchdog(silenceMs);
    }
  } catch (error) {
    throw ending.aborted ? ending.reason : error;
  } finally {
    disarm();
  }
}

async function pause(clock: ClientClock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(ms, resolve);
  const wake = () => resolve();
  signal.addEventListener("abort", wake);
  await promise;
  signal.removeEventListener("abort", wake);
  cancel();
}
