import { hash } from "node:crypto";
import type { LoadedKey } from "./key-material.ts";
import type { JwtStatement } from "./jwt-statement.ts";

/** A JWT whose signature holds. */
export interface SignedStatement {
  readonly statement: JwtStatement;
  /** The key with which it holds, and no other. */
  readonly key: LoadedKey;
}

/**
 * JWTs whose signature was found to hold, by the SHA-256 of their text: nothing else about them is settled here. Whether the key
 * is good, and all that they say, is checked whenever they come. The least recently used go first. Holds no text of a JWT, and
 * of what it says only what is heeded, about 750 bytes a JWT; what nobody here signed never gets in.
 */
export class VerifiedJwts {
  readonly #known = new Map<string, SignedStatement>();
  readonly #capacity: number;

  /** `capacity`: most JWTs kept. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Under which a JWT is kept. */
  static keyOf(jwt: string): string {
    return hash("sha256", jwt, "base64");
  }

  get(key: string): SignedStatement | undefined {
    const known = this.#known.get(key);
    if (known === undefined) return undefined;
    this.#known.delete(key);
    this.#known.set(key, known);
    return known;
  }

  set(key: string, known: SignedStatement): void {
    const oldest = this.#known.size >= this.#capacity ? this.#known.keys().next() : undefined;
    if (oldest?.done === false) this.#known.delete(oldest.value);
    this.#known.set(key, known);
  }
}
