import type { Report } from "../chaos/trial.ts";
import type { Stage } from "./trial.ts";

/** Size of the load of most trials. The machine also runs the systems around the service. */
export const shortLoad = {
  clients: 8,
  thinkMs: 20,
  watchers: 3,
  verifiers: 2,
  maxStaleness: 2000,
  operations: 0,
  timeoutMs: 120_000,
  pauseMs: () => 1500,
} as const;

/** Reports what a load has seen. */
export function reportLoad(report: Stage["report"], part: string, seen: Report, more: object = {}): void {
  const { history, revocations, seconds, waiting, failures, verdicts, propagation } = seen;
  report(
    part,
    {
      operations: history.length,
      revocations,
      seconds: Math.round(seconds),
      "longest wait of a read (ms)": waiting.reads,
      "longest wait of a revocation (ms)": waiting.writes,
      "propagation p50, p99 (ms)": [propagation.p50, propagation.p99],
      failures,
      verdicts,
      ...more,
    },
    [...seen.violations.map((violation) => JSON.stringify(violation)), ...seen.problems, ...seen.logProblems],
  );
}
