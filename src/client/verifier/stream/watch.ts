import { Code, ConnectError } from "@connectrpc/connect";
import type { WatchRevocationsResponse } from "../../../../gen/session/v1/session_service_pb.ts";
import { Backoff } from "./backoff.ts";
import { type Moment, type VerifierClock, driftSince, momentOf } from "./clock.ts";
import type { Connection, Connections } from "./connections.ts";
import {
  type Change,
  OutOfStepError,
  type RevocationCopy,
  type StreamMessage,
} from "../revocations/revocation-copy.ts";
import { readRevocation } from "../revocations/revocation.ts";
import { revocationStream } from "./revocation-stream.ts";

/** How to watch; times in milliseconds. */
export interface WatchOptions {
  readonly connections: Connections;
  readonly copy: RevocationCopy;
  readonly clock: VerifierClock;
  readonly heartbeat: number;
  /** How far the verifier's clocks may come apart before the call's start no longer tells when it was. */
  readonly maxDrift: number;
}

/** Who is told how it goes. */
export interface WatchListener {
  connected(baseUrl: string, resumedAfter: number | undefined): void;
  received(message: StreamMessage, change: Change): void;
  /** The stream, or the attempt to begin one where it was not `begun`, has ended. */
  ended(baseUrl: string, error: Error, begun: boolean): void;
}

/** Keeps the copy up to date: one stream after the other, each going on where the last one ended, until it is closed. */
export class Watch {
  readonly #options: WatchOptions;
  readonly #listener: WatchListener;
  readonly #backoff: Backoff;
  #closed = false;
  #abort: ((reason: Error) => void) | undefined;

  constructor(options: WatchOptions, listener: WatchListener) {
    this.#options = options;
    this.#listener = listener;
    this.#backoff = new Backoff(options.clock);
  }

  /** Runs until closed; never rejects. */
  async run(): Promise<void> {
    while (!this.#closed) {
      const connection = this.#options.connections.open();
      const stream = { begun: false };
      let error: Error;
      try {
        error = await this.#watchOnce(connection, stream);
      } catch (cause) {
        error = cause instanceof Error ? cause : new Error(String(cause));
      } finally {
        connection.close();
      }
      if (this.#closed) return;
      await this.#recover(connection, error, stream.begun);
    }
  }

  close(): void {
    this.#closed = true;
    this.#abort?.(new Error("the verifier is closed"));
    this.#backoff.close();
  }

  /** One stream, to its end. */
  async #watchOnce(connection: Connection, stream: { begun: boolean }): Promise<Error> {
    const { copy, clock, heartbeat } = this.#options;
    const aborting = new AbortController();
    this.#abort = (reason) => aborting.abort(reason);
    const start = copy.begin();
    const callStart = momentOf(clock);
    const messages = revocationStream({
      sessions: connection.sessions,
      start:
        start === "snapshot"
          ? { case: "snapshot", value: true }
          : { case: "afterRevision", value: BigInt(start.afterRevision) },
      heartbeat,
      clock,
      signal: aborting.signal,
    });
    try {
      for await (const response of messages) {
        if (!stream.begun) {
          stream.begun = true;
          this.#listener.connected(
            connection.baseUrl,
            start === "snapshot" ? undefined : start.afterRevision,
          );
        }
        this.#receive(response, callStart);
      }
      return new Error("the server ended the stream");
    } finally {
      this.#abort = undefined;
    }
  }

  #receive(response: WatchRevocationsResponse, callStart: Moment): void {
    const { copy, clock, maxDrift } = this.#options;
    const message = readMessage(response);
    const change = copy.receive(message, callStart);
    if (message.caughtUp) this.#backoff.reset();
    this.#listener.received(message, change);
    if (driftSince(callStart, clock) > maxDrift) {
      throw new Error("the machine was suspended or its clock was set: the call's start tells nothing now");
    }
  }

  async #recover({ baseUrl }: Connection, error: Error, begun: boolean): Promise<void> {
    const { copy, connections } = this.#options;
    this.#listener.ended(baseUrl, error, begun);
    const lost = error instanceof OutOfStepError || codeOf(error) === Code.OutOfRange;
    if (lost) copy.fallOut();
    else connections.rotate();
    await this.#backoff.wait();
  }
}

/** The gRPC code of a failed call. */
export function codeOf(error: unknown): Code | undefined {
  return error instanceof ConnectError ? error.code : undefined;
}

function readMessage({ revocations, revision, caughtUp, elapsed }: WatchRevocationsResponse): StreamMessage {
  return {
    revocations: revocations.map(readRevocation),
    revision: Number(revision),
    caughtUp,
    // Not said: nothing is known of when, except that it was after the call began.
    elapsed: elapsed === undefined ? 0 : Number(elapsed.seconds) * 1000 + Math.floor(elapsed.nanos / 1e6),
  };
}
