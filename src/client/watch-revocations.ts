import { Code } from "@connectrpc/connect";
import type {
  WatchRevocationsRequest,
  WatchRevocationsResponse,
} from "../../gen/session/v1/session_service_pb.ts";
import type { TlsClientOptions } from "./tls.ts";
import { Backoff } from "./verifier/stream/backoff.ts";
import { machineClock } from "./verifier/stream/clock.ts";
import { Connections, type Credential } from "./verifier/stream/connections.ts";
import { revocationStream } from "./verifier/stream/revocation-stream.ts";
import { codeOf } from "./verifier/stream/watch.ts";

/** Where to watch, and from where on. */
export interface WatchRevocationsOptions {
  readonly baseUrl: string;
  /** A service's with the permission `sessions.read`. */
  readonly credential: Credential;
  /** Whom to trust at an `https` address, and the client certificate. */
  readonly tls?: TlsClientOptions | undefined;
  /** With what is committed from now on where `case` is undefined. */
  readonly start: WatchRevocationsRequest["start"];
  /** Longest silence of the server, in milliseconds; 1,000 by default. */
  readonly heartbeat?: number;
  /** Ends the watch, without an error. */
  readonly signal: AbortSignal;
  /** Told when a stream broke that had begun, before it is resumed after this revision. */
  readonly onDisconnect?: (error: Error, revision: bigint) => void;
}

/** Failures that the next attempt would meet again. */
const lasting: ReadonlySet<Code | undefined> = new Set([
  Code.InvalidArgument,
  Code.Unauthenticated,
  Code.PermissionDenied,
  Code.NotFound,
  Code.Unimplemented,
  Code.OutOfRange,
]);

/**
 * The messages of `WatchRevocations`, across streams: one that breaks, or is silent for three heartbeats, is resumed after the
 * last revision, so that nothing is missed and nothing comes twice. Throws where the first stream cannot be begun, and for
 * what does not pass: a credential that is refused, a log that does not reach back so far.
 */
export async function* watchRevocations({
  baseUrl,
  credential,
  tls,
  start,
  heartbeat = 1000,
  signal,
  onDisconnect,
}: WatchRevocationsOptions): AsyncGenerator<WatchRevocationsResponse, undefined> {
  const connections = new Connections({ baseUrls: [baseUrl], tls, credential, clock: machineClock });
  const backoff = new Backoff(machineClock);
  const endWait = () => backoff.close();
  signal.addEventListener("abort", endWait);
  let last: bigint | undefined;
  try {
    while (!signal.aborted) {
      const from = last === undefined ? start : ({ case: "afterRevision", value: last } as const);
      const connection = connections.open();
      let error: unknown = new Error("the server ended the stream");
      try {
        for await (const message of revocationStream({
          sessions: connection.sessions,
          start: from,
          heartbeat,
          clock: machineClock,
          signal,
        })) {
          yield message;
          last = message.revision;
          if (message.caughtUp) backoff.reset();
        }
      } catch (cause) {
        error = cause;
      } finally {
        connection.close();
      }
      if (signal.aborted) return;
      if (last === undefined || lasting.has(codeOf(error))) throw error;
      onDisconnect?.(error instanceof Error ? error : new Error(String(error)), last);
      await backoff.wait();
    }
  } finally {
    signal.removeEventListener("abort", endWait);
    connections.close();
  }
}
