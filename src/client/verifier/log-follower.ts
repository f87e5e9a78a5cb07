import { Code } from "@connectrpc/connect";
import type { WatchRevocationsResponse } from "../../../gen/session/v1/session_service_pb.ts";
import { type ClientClock, driftSince } from "../clock.ts";
import { codeOf } from "../error-info.ts";
import { type SubscriptionEvent, subscribe } from "../subscribe.ts";
import type { Connections } from "./connections.ts";
import {
  type CopyChange,
  OutOfStepError,
  type RevocationCopy,
  type StreamMessage,
} from "./revocations/revocation-copy.ts";
import { readRevocation } from "./revocations/revocation.ts";

export interface LogFollowerOptions {
  readonly connections: Connections;
  readonly copy: RevocationCopy;
  readonly clock: ClientClock;
  readonly heartbeatMs: number;
  /** Drift of the two clocks beyond which the start of a call no longer dates its messages. */
  readonly maxDriftMs: number;
  readonly signal: AbortSignal;
}

export interface LogListener {
  connected(baseUrl: string, resumedAfter: number | undefined): void;
  applied(message: StreamMessage, change: CopyChange): void;
  /** A stream has ended, or failed to start if it was not connected. */
  disconnected(baseUrl: string, error: Error, wasConnected: boolean): void;
}

/** Keeps the copy up to date until the signal aborts. Never rejects. */
export async function followLog(options: LogFollowerOptions, listener: LogListener): Promise<void> {
  const { connections, copy, clock, heartbeatMs, signal } = options;
  const events = subscribe({
    open: () => connections.open(),
    nextStart: () => copy.nextStart(),
    heartbeatMs,
    clock,
    signal,
  });
  for await (const event of events) {
    switch (event.kind) {
      case "connected":
        listener.connected(
          event.baseUrl,
          event.start.case === "afterRevision" ? Number(event.start.value) : undefined,
        );
        break;
      case "message":
        applyMessage(event, options, listener);
        break;
      case "disconnected": {
        const { baseUrl, error, wasConnected } = event;
        listener.disconnected(baseUrl, error, wasConnected);
        if (error instanceof OutOfStepError || codeOf(error) === Code.OutOfRange) copy.requireSnapshot();
        else connections.rotate();
      }
    }
  }
}

function applyMessage(
  { message: response, callStart, fail }: SubscriptionEvent & { kind: "message" },
  { copy, clock, maxDriftMs }: LogFollowerOptions,
  listener: LogListener,
): void {
  try {
    const message = readMessage(response);
    listener.applied(message, copy.apply(message, callStart));
    if (driftSince(callStart, clock) > maxDriftMs) {
      fail(
        new Error("the machine was suspended or its clock was set: the stream's start is no longer dated"),
      );
    }
  } catch (error) {
    fail(error instanceof Error ? error : new Error(String(error)));
  }
}

function readMessage({ revocations, revision, caughtUp, elapsed }: WatchRevocationsResponse): StreamMessage {
  return {
    revocations: revocations.map(readRevocation),
    revision: Number(revision),
    caughtUp,
    // Without it the message only proves that it was read after the call started.
    elapsedMs: elapsed === undefined ? 0 : Number(elapsed.seconds) * 1000 + Math.floor(elapsed.nanos / 1e6),
  };
}
