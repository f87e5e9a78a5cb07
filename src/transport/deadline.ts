import type { IncomingHttpHeaders } from "node:http";

const grpcUnitMs: ReadonlyMap<string | undefined, number> = new Map([
  ["H", 3_600_000],
  ["M", 60_000],
  ["S", 1000],
  ["m", 1],
  ["u", 1e-3],
  ["n", 1e-6],
]);

/** Headers that set a deadline, and what their text means in milliseconds; NaN for a malformed one. */
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
 * Time that a caller allows its call, in milliseconds, at most `maxMs`; the shortest if several headers set one. Throws what
 * `malformed` makes for a header that cannot be read: it must not be mistaken for the absence of a deadline.
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
