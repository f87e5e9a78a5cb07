import type { HandlerContext, Interceptor } from "@connectrpc/connect";
import { SessiondError } from "../domain/errors.ts";
import { type CallRecord, callRecordKey } from "./call-record.ts";

/** Notes until when a call may take, where its caller said so. */
export function noteDeadline(record: CallRecord, context: HandlerContext): void {
  const timeout = context.timeoutMs();
  record.deadline = timeout === undefined ? undefined : performance.now() + timeout;
}

/**
 * Ends unary calls at their deadline, however long the implementation goes on. A stream may be meant to last; its deadline ends
 * it by its signal.
 */
export const deadlineInterceptor: Interceptor = (next) => (request) => {
  const record = request.contextValues.get(callRecordKey);
  return request.stream ? next(request) : byDeadline(record, () => next(request));
};

/** Does what a call needs, told until when it may take; DEADLINE_EXCEEDED, at the deadline, where it takes longer. */
export function byDeadline<T>({ deadline }: CallRecord, work: () => Promise<T>): Promise<T> {
  if (deadline === undefined) return work();
  return new Promise((resolve, reject) => {
    const expire = () => reject(new SessiondError("DEADLINE_EXCEEDED"));
    const timer = setTimeout(expire, Math.max(0, deadline - performance.now()));
    const settle = <Outcome>(settled: (outcome: Outcome) => void) => {
      return (outcome: Outcome) => {
        clearTimeout(timer);
        settled(outcome);
      };
    };
    work().then(settle(resolve), settle(reject));
  });
}
