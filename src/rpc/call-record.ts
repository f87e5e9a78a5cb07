import { type HandlerContext, createContextKey } from "@connectrpc/connect";
import type { Identity } from "../auth/identify.ts";
import { type Peer, unknownPeer } from "../auth/peer.ts";
import type { CallContext } from "../transport/call-context.ts";

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
  /** Until when its caller waits, as `performance.now()` counts; undefined where they set no deadline. */
  deadline?: number | undefined;
  /** Who calls, once known. */
  identity?: Identity;
  /** The gRPC code, by name, once there is an outcome. */
  code?: string;
  /** The reason of a failure. */
  reason?: string;
  /** What went wrong inside, for the log alone. */
  fault?: unknown;
}

/** A record of a request that nobody logs. */
const nobodys: CallRecord = { id: "", uuid: "", start: 0, peer: unknownPeer };

/** The context key of the request's record. */
export const callRecordKey = createContextKey<CallRecord>(nobodys, { description: "call record" });

/** The deadline and cancellation of a handler's call. */
export function callContextOf(context: HandlerContext): CallContext {
  return isCallContext(context) ? context : new HandlerCall(context);
}

function isCallContext(context: HandlerContext): context is HandlerContext & CallContext {
  return "deadline" in context && "aborted" in context;
}

/** Does not read the signal of the context before it is needed, because some contexts create it on first use. */
class HandlerCall implements CallContext {
  readonly deadline: number;
  readonly #context: HandlerContext & { readonly aborted?: boolean };

  constructor(context: HandlerContext) {
    this.deadline = context.values.get(callRecordKey).deadline ?? Infinity;
    this.#context = context;
  }

  get signal(): AbortSignal {
    return this.#context.signal;
  }

  get aborted(): boolean {
    return this.#context.aborted ?? this.#context.signal.aborted;
  }
}
