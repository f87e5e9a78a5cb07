import { type HandlerContext, createContextKey } from "@connectrpc/connect";
import type { Identity } from "../auth/identify.ts";
import { type Peer, unknownPeer } from "../auth/request-credentials.ts";
import type { CallContext } from "../transport/call-context.ts";
import { Call } from "../transport/call.ts";

/** State of one request. The log line is made from it. */
export interface CallRecord {
  /** `X-Request-Id` of the answer: that of the request if it is acceptable, otherwise `uuid`. */
  readonly id: string;
  /** A new UUID for every request. */
  readonly uuid: string;
  /** Time of arrival on the performance.now() clock. */
  readonly start: number;
  readonly peer: Peer;
  /** `package.Service/Method`, once the method is known. */
  method?: string;
  /** `grpc`, `grpc-web`, `connect` or `rest`. */
  protocol?: string;
  identity?: Identity;
  /** Name of the gRPC code, once there is an outcome. */
  code?: string;
  reason?: string | undefined;
  /** Internal error, for the log only. */
  fault?: unknown;
}

/** The default is the record of a request that is not logged. */
export const callRecordKey = createContextKey<CallRecord>(
  { id: "", uuid: "", start: 0, peer: unknownPeer },
  { description: "call record" },
);

/** Deadline and cancellation of the call that a handler serves. */
export function callContextOf(context: HandlerContext): CallContext {
  if (context instanceof Call) return context;
  throw new Error("the context of a handler must be a call of the pipeline");
}
