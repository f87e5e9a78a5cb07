import type { IncomingHttpHeaders } from "node:http";
import { badRequest } from "../errors/failure.ts";

/** The longest delay a Node timer takes, in milliseconds; a longer one would fire at once. */
export const maxTimerMs = 2 ** 31 - 1;

const grpcUnitMs: ReadonlyMap<string, number> = new Map([
  ["H", 3_600_000],
  ["M", 60_000],
  ["S", 1000],
  ["m", 1],
  ["u", 1e-3],
  ["n", 1e-6],
]);

/** Header name and how its text becomes milliseconds; `undefined` is malformed. */
const readers: readonly (readonly [name: string, read: (text: string) => number | undefined])[] = [
  ["grpc-timeout", readGrpcTimeout],
  ["connect-timeout-ms", (text) => (/^\d{1,10}$/.test(text) ? Number(text) : undefined)],
  [
    "x-server-timeout",
    (text) => (/^(?:\d{1,12}(?:\.\d*)?|\.\d+)$/.test(text) ? Number(text) * 1000 : undefined),
  ],
];

/**
 * The time a caller gives, in milliseconds, at most `maxMs`; the shortest where several headers say one. Throws a 400
 * refusal for a malformed header: a deadline that is not understood must not be taken for none.
 */
export function readTimeout(headers: IncomingHttpHeaders, maxMs: number): number | undefined {
  let timeout: number | undefined;
  for (const [name, read] of readers) {
    const text = headers[name];
    if (text === undefined) continue;
    const milliseconds = typeof text === "string" ? read(text.trim()) : undefined;
    if (milliseconds === undefined) throw badRequest("header", name, "not a timeout");
    timeout = Math.min(timeout ?? maxMs, milliseconds, maxMs);
  }
  return timeout;
}

function readGrpcTimeout(text: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  const unit = grpcUnitMs.get(match?.[2] ?? "");
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}
