import type { Interceptor } from "@connectrpc/connect";
import { workUntil } from "../domain/deadline.ts";
import { Call } from "../transport/call.ts";

/** Tells the store the deadline of a unary call. */
export const deadlineInterceptor: Interceptor = (next) => (request) =>
  request instanceof Call ? withDeadline(request, () => next(request)) : next(request);

/** Does what a call needs, with its deadline known to the store. */
export function withDeadline<T>({ deadline }: Call, work: () => T): T {
  return deadline === Infinity ? work() : workUntil(deadline, work);
}
