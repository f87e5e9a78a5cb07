/** Deadline and cancellation of one call, passed from the gate to the statement. */
export interface CallContext {
  /** Deadline on the performance.now() clock, in milliseconds; Infinity without one. */
  readonly deadline: number;
  /** Aborts when the client goes away or the call is given up. Created on first use. */
  readonly signal: AbortSignal;
  /** Whether the signal has aborted. Reading it does not create the signal. */
  readonly aborted: boolean;
}

/** The context of background work, and of work shared by several calls. */
export const unlimited: CallContext = {
  deadline: Infinity,
  signal: new AbortController().signal,
  aborted: false,
};

/** The same deadline without cancellation, for work that must not stop when its client disconnects. */
export function withoutCancellation({ deadline }: CallContext): CallContext {
  return deadline === Infinity ? unlimited : { ...unlimited, deadline };
}
