import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import type {
  SessionService,
  WatchRevocationsRequest,
  WatchRevocationsResponse,
} from "../../../../gen/session/v1/session_service_pb.ts";
import type { VerifierClock } from "./clock.ts";

/** One stream of revocations; times in milliseconds. */
export interface RevocationStreamOptions {
  readonly sessions: Client<typeof SessionService>;
  readonly start: WatchRevocationsRequest["start"];
  readonly heartbeat: number;
  readonly clock: VerifierClock;
  /** Ends the stream with its reason. */
  readonly signal: AbortSignal;
}

/** Shortest silence after which a stream counts as dead, and the same for the first message, which may meet a cold server. */
const minSilence = 500;
const firstSilence = 3000;

/** The messages of one stream. Throws when it fails, and when it is silent for three heartbeats: its server is gone or frozen. */
export async function* revocationStream({
  sessions,
  start,
  heartbeat,
  clock,
  signal,
}: RevocationStreamOptions): AsyncGenerator<WatchRevocationsResponse, undefined> {
  const silenced = new AbortController();
  const ending = AbortSignal.any([signal, silenced.signal]);
  const watchdog = (ms: number) => {
    const silent = new Error(`nothing came for ${ms} ms, not even a heartbeat`);
    return clock.after(ms, () => silenced.abort(silent));
  };
  const silence = Math.max(3 * heartbeat, minSilence);
  let callOff = watchdog(Math.max(silence, firstSilence));
  try {
    const request = { heartbeat: durationFromMs(heartbeat), start };
    for await (const message of sessions.watchRevocations(request, { signal: ending, timeoutMs: 0 })) {
      callOff();
      yield message;
      callOff = watchdog(silence);
    }
    return undefined;
  } catch (error) {
    throw ending.aborted ? ending.reason : error;
  } finally {
    callOff();
  }
}
