import { AsyncLocalStorage } from "node:async_hooks";
import { SessiondError } from "../../domain/errors.ts";

/** Until when statements may run. */
export interface StatementBounds {
  /** As performance.now() counts; Infinity where nothing but the general timeout bounds them. */
  readonly deadline: number;
  /**
   * Whether they may be ended by a cancel request, which reaches the database at whatever moment. Not what writes: a commit
   * that waits for a standby would give up waiting, and be taken for one that the standby has. The database's own timeout ends
   * no commit.
   */
  readonly canCancel: boolean;
  /** Cancels them before that, where they can be. */
  readonly signal: AbortSignal | undefined;
}

const current = new AsyncLocalStorage<StatementBounds>();

/** Runs statements that only read. */
export function reading<T>(deadline: number, work: () => T, signal?: AbortSignal): T {
  if (deadline === Infinity && signal === undefined) return work();
  return current.run({ deadline, canCancel: true, signal }, work);
}

/** Runs statements that write. */
export function writing<T>(deadline: number, work: () => T): T {
  if (deadline === Infinity) return work();
  return current.run({ deadline, canCancel: false, signal: undefined }, work);
}

/** What bounds the statement that is about to run; undefined where nothing but the general timeout does. */
export function statementBounds(): StatementBounds | undefined {
  return current.getStore();
}

/** Why a statement did not run, or not to its end; and so did nothing. */
export function outOfTime(cause?: unknown): SessiondError {
  return new SessiondError("DEADLINE_EXCEEDED", { cause });
}
