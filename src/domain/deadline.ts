import { AsyncLocalStorage } from "node:async_hooks";

/**
 * Until when the call that is being worked for may take, as performance.now() counts. It goes beside the arguments: what is done
 * for several calls at once, or for whoever comes next, must not end with one of them, so only the store, which knows what is
 * whose, asks for it. Calls without a deadline do not come here, and pay nothing.
 */
const deadlines = new AsyncLocalStorage<number>();

/** Works for a call that may take until `deadline`. */
export function workUntil<T>(deadline: number, work: () => T): T {
  return deadlines.run(deadline, work);
}

/** Until when the work may take, as performance.now() counts; Infinity where nobody said. */
export function currentDeadline(): number {
  return deadlines.getStore() ?? Infinity;
}
