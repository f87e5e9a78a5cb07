import { readFileSync } from "node:fs";
import type { Job, Numbers, RequestFile } from "./job.ts";

/** Where calls come from, one by one. */
export interface CallSource {
  /**
   * The next body; undefined when the job has no more calls. It may be the same buffer each time: whoever takes it copies it.
   * Throws when what the calls differ in is used up before.
   */
  nextBody(): Buffer | undefined;
  /** Likewise the headers that go with this body alone. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The source that a job describes. */
export function callSource(job: Job): CallSource {
  const source = endlessSource(job);
  if (!("calls" in job.until)) return source;
  let left = job.until.calls;
  return {
    nextBody: () => (left-- > 0 ? source.nextBody() : undefined),
    get headers() {
      return source.headers;
    },
  };
}

function endlessSource({ body, vary }: Job): CallSource {
  const bytes = Buffer.from(body, "base64");
  if (vary === undefined) return { nextBody: () => bytes, headers: {} };
  return vary.kind === "numbers" ? new NumberedCalls(bytes, vary) : new CallsFromFile(vary);
}

/** Puts numbers into a body. */
class NumberedCalls implements CallSource {
  readonly headers = {};
  readonly #body: Buffer;
  readonly #numbers: Numbers;
  readonly #numberOf: (call: number) => number;
  #made: number;

  constructor(body: Buffer, numbers: Numbers) {
    this.#body = Buffer.from(body);
    this.#numbers = numbers;
    this.#numberOf = scattered(numbers.count);
    this.#made = numbers.skip;
  }

  nextBody(): Buffer {
    const { at, first, count, again } = this.#numbers;
    if (this.#made >= count && !again) throw new Error(`all ${count} numbers have been used`);
    const number = first + this.#numberOf(this.#made++);
    this.#body.write(number.toString(16).padStart(12, "0"), at, "latin1");
    return this.#body;
  }
}

/**
 * Numbers below `count`, scattered over all of them: rows that lie beside each other are not asked for one after the other.
 * Each comes once before any comes again, because the step and the count have no common divisor.
 */
export function scattered(count: number): (call: number) => number {
  const commonDivisor = (a: number, b: number): number => (b === 0 ? a : commonDivisor(b, a % b));
  let step = Math.max(1, Math.floor(count * 0.618)); // near the golden section
  while (commonDivisor(step, count) !== 1) step++;
  return (call) => Number((BigInt(call) * BigInt(step)) % BigInt(count));
}

/** Takes what differs from a file. */
class CallsFromFile implements CallSource {
  headers: Readonly<Record<string, string>> = {};
  readonly #file: RequestFile;
  readonly #lines: readonly string[];
  #made: number;

  constructor(file: RequestFile) {
    this.#file = file;
    this.#lines = readFileSync(file.file, "utf8").trim().split("\n");
    this.#made = file.skip;
  }

  nextBody(): Buffer {
    const count = this.#lines.length;
    if (this.#made >= count && !this.#file.again) throw new Error(`all ${count} calls have been made`);
    const line: { headers: Record<string, string>; body: string } = JSON.parse(
      this.#lines[this.#made % count] ?? "",
    );
    this.#made++;
    this.headers = line.headers;
    return Buffer.from(line.body);
  }
}
