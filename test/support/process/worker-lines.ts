import { vi } from "vitest";
import { patience } from "../patience.ts";
import type { ServeProcess } from "./serve-process.ts";

/** A line of the log of a service with workers. */
export interface WorkerLine {
  readonly pid: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** What such a service has logged so far: whole lines. */
export function linesOf(service: ServeProcess): readonly WorkerLine[] {
  const whole = service.stderr().split("\n").slice(0, -1);
  return whole.filter((line) => line.startsWith("{")).map((line): WorkerLine => JSON.parse(line));
}

/** Waits until it has logged `count` lines with this message, by whichever process; returns those. */
export async function logged(
  service: ServeProcess,
  msg: string,
  count = 1,
): Promise<readonly [WorkerLine, ...WorkerLine[]]> {
  const found = () => linesOf(service).filter((line) => line.msg === msg);
  await vi.waitUntil(() => found().length >= count, patience);
  const [first, ...others] = found();
  if (first === undefined) throw new Error(`nothing to wait for: ${count} lines`);
  return [first, ...others];
}

/** Waits until the call of this request id was logged; returns the pid of the worker that answered it. */
export async function answeredBy(service: ServeProcess, requestId: string): Promise<number> {
  const found = () => linesOf(service).find((line) => line["request_id"] === requestId);
  await vi.waitUntil(() => found() !== undefined, patience);
  return found()?.pid ?? 0;
}
