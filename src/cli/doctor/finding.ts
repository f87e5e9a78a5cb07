import { printable } from "../output/table.ts";

/** Result of a check. A warning needs a person's judgement; a check that could not run is skipped. */
export type Status = "ok" | "warn" | "fail" | "skip";

export interface Finding {
  /** Name of the check. */
  readonly check: string;
  readonly status: Status;
  readonly message: string;
  /** How to correct it. */
  readonly mend?: string;
}

/** Functions that make the findings of one check. */
export function findingsOf(check: string): Record<Status, (message: string, mend?: string) => Finding> {
  const finding = (status: Status) => (message: string, mend?: string) => ({
    check,
    status,
    message,
    ...(mend !== undefined && { mend }),
  });
  return { ok: finding("ok"), warn: finding("warn"), fail: finding("fail"), skip: finding("skip") };
}

/** A finding as text; further lines are indented. */
export function findingText({ check, status, message, mend }: Finding): string {
  const [first = "", ...others] = message.split("\n");
  const indent = " ".repeat(22);
  return [
    `${status.padEnd(4)}  ${check.padEnd(14)}  ${printable(first)}`,
    ...others.map((line) => indent + printable(line.trim())),
    ...(mend === undefined ? [] : [`${indent}-> ${printable(mend)}`]),
  ].join("\n");
}
