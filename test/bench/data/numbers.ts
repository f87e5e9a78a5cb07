import type { Numbers } from "../load/job.ts";

/** The twelve hexadecimal digits by which ids and tokens of sessions differ. */
export function digitsOf(number: number): string {
  return number.toString(16).padStart(12, "0");
}

/** The same in SQL, for the expression `i`. */
export const digitsInSql = "lpad(to_hex(i), 12, '0')";

const idPrefix = "0199a000-0000-7000-8000-";
const tokenPadding = "A".repeat(31);

/** The id of a session, a UUIDv7. */
export function sessionId(number: number): string {
  return idPrefix + digitsOf(number);
}

/** Its token in a project with this tag. */
export function sessionToken(tag: string, number: number): string {
  return `sst_${tag}${tokenPadding}${digitsOf(number)}`;
}

/** Both in SQL, for the expression `i`. */
export const sessionIdInSql = `('${idPrefix}' || ${digitsInSql})::uuid`;
export const sessionTokenInSql = (tag: string): string => `'sst_${tag}${tokenPadding}' || ${digitsInSql}`;

/** Sessions with consecutive numbers. */
export class NumberRange {
  readonly first: number;
  readonly count: number;
  #used = 0;

  constructor(first: number, count: number) {
    this.first = first;
    this.count = count;
  }

  /** Each call names a session that no earlier call named, by the last digits in the body. */
  once(body: Buffer): Numbers {
    return this.#numbers(body, false);
  }

  /** Each call names another session until all have been named, then repeats. */
  again(body: Buffer): Numbers {
    return this.#numbers(body, true);
  }

  use(calls: number): void {
    this.#used += calls;
  }

  get used(): number {
    return this.#used;
  }

  /** Starts again after the sessions were restored. */
  reset(): void {
    this.#used = 0;
  }

  #numbers(body: Buffer, again: boolean): Numbers {
    const at = body.lastIndexOf(digitsOf(0), undefined, "latin1");
    if (at < 0) throw new Error("the body has no place for a number");
    return { kind: "numbers", at, first: this.first, count: this.count, skip: this.#used, again };
  }
}
