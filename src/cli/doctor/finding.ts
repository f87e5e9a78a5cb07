/** How a check went. A warning is for people to judge; what could not be looked at is skipped. */
export type Status = "ok" | "warn" | "fail" | "skip";

/** One thing that was checked. */
export interface Finding {
  readonly check: string;
  readonly status: Status;
  readonly message: string;
  /** What to do, where there is something to. */
  readonly mend?: string;
}

/** Findings of one check, by its name. */
export function findingsOf(check: string): Record<Status, (message: string, mend?: string) => Finding> {
  const finding =
    (status: Status) =>
    (message: string, mend?: string): Finding => ({
      check,
      status,
      message,
      ...(mend === undefined ? {} : { mend }),
    });
  return { ok: finding("ok"), warn: finding("warn"), fail: finding("fail"), skip: finding("skip") };
}
