import { hash } from "node:crypto";
import type { Statement } from "./statement.ts";

/**
 * JWTs whose signature and claims were checked, by the SHA-256 of their text; the least recently used go first. What ends a JWT
 * later, time and revocation, is never kept here.
 */
export class StatementCache {
  readonly #statements = new Map<string, Statement>();
  readonly #capacity: number;

  /** `capacity`: most statements kept; 0 keeps none. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#statements.size;
  }

  /** Under which a JWT is kept: nothing of its text is. */
  static keyOf(jwt: string): string {
    return hash("sha256", jwt, "base64");
  }

  get(key: string): Statement | undefined {
    const statement = this.#statements.get(key);
    if (statement === undefined) return undefined;
    this.#statements.delete(key);
    this.#statements.set(key, statement);
    return statement;
  }

  set(key: string, statement: Statement): void {
    if (this.#capacity === 0) return;
    const oldest = this.#statements.size >= this.#capacity ? this.#statements.keys().next() : undefined;
    if (oldest?.done === false) this.#statements.delete(oldest.value);
    this.#statements.set(key, statement);
  }

  delete(key: string): void {
    this.#statements.delete(key);
  }

  clear(): void {
    this.#statements.clear();
  }
}
