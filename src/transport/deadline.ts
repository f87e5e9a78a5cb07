import type { IncomingHttpHeaders } from "node:http";

/** Longest delay of a Node.js timer, in milliseconds. A timer with a longer one fires at once. */
export const maxTimerMs = 2 ** 31 - 1;

const grpcUnitMs: ReadonlyMap<string | undefined, number> = new Map([
  ["H", 3_600_000],
  ["M", 60_000],
  ["S", 1000],
  ["m", 1],
  ["u", 1e-3],
  ["n", 1e-6],
]);

/** Readers of deadline headers, in milliseconds; NaN for malformed text. */
const readers: readonly (readonly [name: string, read: (text: string) => number])[] = [
  [
    "grpc-timeout",
    (text) => {
      const [, amount, unit] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
      return Number(amount) * (grpcUnitMs.get(unit) ?? NaN);
    },
  ],
  ["connect-timeout-ms", (text) => (/^\d{1,10}$/.test(text) ? Number(text) : NaN)],
  ["x-server-timeout", (text) => (/^(?:\d{1,12}(?:\.\d*)?|\.\d+)$/.test(text) ? Number(text) * 1000 : NaN)],
];

/**
 * Reads the timeout of a call in milliseconds, at most `maxMs`; the shortest one if several headers set one. Throws the error
 * that `malformed` makes for a malformed header.
 */
export function readTimeout(
  headers: IncomingHttpHeaders,
  maxMs: number,
  malformed: (header: string) => Error,
): number | undefined {
  let timeoutMs: number | undefined;
  for (const [name, read] of readers) {
    const text = headers[name];
    if (text === undefined) continue;
    const ms = typeof text === "string" ? read(text.trim()) : NaN;
    if (Number.isNaN(ms)) throw malformed(name);
    timeoutMs = Math.min(timeoutMs ?? maxMs, ms, maxMs);
  }
  return timeoutMs;
}
