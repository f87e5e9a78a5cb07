import { maxJwtLength, parseCompactJws } from "./compact-jws.ts";
import type { KeySet } from "./key-set.ts";
import { isAllowedAlgorithm, isSigned } from "./signature.ts";
import { type Expectation, type Statement, readStatement } from "./statement.ts";
import { StatementCache } from "./statement-cache.ts";
import type { Invalidity } from "../verdict.ts";

/** What a JWT states, what is wrong with it, or that no keys can be had to tell. */
export type CheckedJwt = Statement | Invalidity | "keys unavailable";

/** Checks everything of a JWT that time and revocation cannot change, and remembers what it found good. */
export class JwtCheck {
  readonly #keys: KeySet;
  readonly #expectation: Expectation;
  readonly #cache: StatementCache;

  constructor(keys: KeySet, expectation: Expectation, cacheSize: number) {
    this.#keys = keys;
    this.#expectation = expectation;
    this.#cache = new StatementCache(cacheSize);
  }

  /** How many JWTs are remembered. */
  get cached(): number {
    return this.#cache.size;
  }

  /** Checks form, algorithm, key, signature, type, issuer, audience and claims, in this order. */
  check(jwt: string): CheckedJwt | Promise<CheckedJwt> {
    if (typeof jwt !== "string" || jwt.length > maxJwtLength) return "form";
    const key = StatementCache.keyOf(jwt);
    return this.#cache.get(key) ?? this.#checkAnew(jwt, key);
  }

  /** Nothing more is to be gained from remembering it. */
  forget(jwt: string): void {
    this.#cache.delete(StatementCache.keyOf(jwt));
  }

  /** What was good may not be any more. */
  clear(): void {
    this.#cache.clear();
  }

  async #checkAnew(jwt: string, cacheKey: string): Promise<CheckedJwt> {
    const jws = parseCompactJws(jwt);
    if (jws === undefined) return "form";
    const { alg, kid } = jws.header;
    if (!isAllowedAlgorithm(alg)) return "algorithm";
    const key = typeof kid === "string" ? await this.#keys.find(kid) : "unknown";
    if (key === "unavailable") return "keys unavailable";
    if (key === "unknown") return "key";
    if (key.algorithm !== alg) return "algorithm";
    if (!isSigned(key, jws.signed, jws.signature)) return "signature";
    const claims = readStatement(jws, this.#expectation);
    if (typeof claims === "string") return claims;
    const statement = { claims, kid: key.kid };
    this.#cache.set(cacheKey, statement);
    return statement;
  }
}
