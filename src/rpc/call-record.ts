import { type HandlerContext, createContextKey } from "@connectrpc/connect";
import type { Identity } from "../auth/identify.ts";
import { type Peer, unknownPeer } from "../auth/request-credentials.ts";
import type { CallContext } from "../transport/call-context.ts";
import { Call } from "../transport/call.ts";

/** What is known of one request while it runs; the log line is written from it. */
export interface CallRecord {
  /** Comes back as `X-Request-Id`: the caller's own if it sent a sane one, else `uuid`. */
  readonly id: string;
  /** A fresh UUID for every request, whatever the caller sent. */
  readonly uuid: string;
  /** When it arrived, as `performance.now()` counts. */
  readonly start: number;
  /** Who is at the other end of the connection it came on. */
  readonly peer: Peer;
  /** `package.Service/Method`, once a method is matched. */
  method?: string;
  /** `grpc`, `grpc-web`, `connect` or `rest`. */
  protocol?: string;
  /** Who calls, once known. */
  identity?: Identity;
  /** The gRPC code, by name, once there is an outcome. */
  code?: string;
  /** The reason of a failure. */
  reason?: string | undefined;
  /** What went wrong inside, for the log alone. */
  fault?: unknown;
}

/** A record of a request that nobody logs. */
const nobodys: CallRecord = { id: "", uuid: "", start: 0, peer: unknownPeer };

/** The context key of the request's record. */
export const callRecordKey = createContextKey<CallRecord>(nobodys, { description: "call record" });

/** Deadline and cancellation of the call that a handler serves. */
export function callContextOf(context: HandlerContext): CallContext {
  if (context instanceof Call) return context;
  throw new Error("the context of a handler must be a call of the pipeline");
}
