import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Job, Line, Lines, Numbers } from "./job.ts";

export interface Call {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Returns a function that returns the next call of a job, or undefined after the last one. */
export function callsOf(job: Job): () => Call | undefined {
  const next = endlessCalls(job);
  if (!("calls" in job.until)) return next;
  let left = job.until.calls;
  return () => (left-- > 0 ? next() : undefined);
}

function endlessCalls({ body, vary }: Job): () => Call {
  if (vary === undefined) return () => ({ headers: {}, body });
  return vary.kind === "numbers" ? numberedCalls(body, vary) : callsFromFile(vary);
}

function numberedCalls(template: Buffer, { at, first, count, skip, again }: Numbers): () => Call {
  const numberOf = scattered(count);
  let made = skip;
  return () => {
    if (made >= count && !again) throw new Error(`all ${count} numbers have been used`);
    const body = Buffer.from(template);
    body.write((first + numberOf(made++)).toString(16).padStart(12, "0"), at, "latin1");
    return { headers: {}, body };
  };
}

/** Writes a file of calls; returns its path. */
export function writeCalls(directory: string, name: string, lines: readonly Line[]): string {
  const file = join(directory, `${name.replaceAll(/\W/g, "-")}.jsonl`);
  writeFileSync(file, lines.map((line) => JSON.stringify(line)).join("\n"));
  return file;
}

function callsFromFile({ file, skip, again }: Lines): () => Call {
  const calls = readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((text) => {
      const line: Line = JSON.parse(text);
      return { headers: line.headers ?? {}, body: Buffer.from(line.body, "base64") };
    });
  let made = skip;
  return () => {
    const call = calls[made++ % calls.length];
    if (call === undefined || (made > calls.length && !again)) throw new Error("the file has no more calls");
    return call;
  };
}

/**
 * Permutes the numbers below `count`, so that neighbouring rows are not read one after the other. No number repeats before all
 * have been used, because step and count have no common divisor.
 */
export function scattered(count: number): (call: number) => number {
  const commonDivisor = (a: number, b: number): number => (b === 0 ? a : commonDivisor(b, a % b));
  let step = Math.max(1, Math.floor(count * 0.618)); // near the golden section
  while (commonDivisor(step, count) !== 1) step++;
  return (call) => Number((BigInt(call) * BigInt(step)) % BigInt(count));
}
