import type { VerifierClock } from "../stream/clock.ts";
import type { TlsClientOptions } from "../../tls.ts";
import { isObject } from "./compact-jws.ts";
import { getJson } from "./get-json.ts";
import { type VerifyingKey, importKey } from "./signature.ts";

/** How a key set works; times in milliseconds. */
export interface KeySetOptions {
  /** Where the JWKS is now. */
  readonly url: () => string;
  readonly tls?: TlsClientOptions | undefined;
  readonly clock: VerifierClock;
  /** Shortest time between two fetches that an unknown key id can cause. */
  readonly refetchInterval: number;
  /** Longest wait for an answer. */
  readonly timeout: number;
}

/** Most keys read of a JWKS. */
const maxKeys = 100;
/** After which a JWKS is fetched again while it goes on being used. */
const maxAge = 10 * 60_000;
/** Shortest time between two fetches when the last one failed. */
const retryInterval = 500;

/** The project's signing keys, from its JWKS: fetched when first needed, kept, and fetched again when an unknown one appears. */
export class KeySet {
  readonly #options: KeySetOptions;
  readonly #closed = new AbortController();
  #keys: ReadonlyMap<string, VerifyingKey> | undefined;
  #loading: Promise<boolean> | undefined;
  #loadedAt = -Infinity;
  #failedAt = -Infinity;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  /** The ids of the keys held. */
  get kids(): readonly string[] {
    return [...(this.#keys?.keys() ?? [])];
  }

  /**
   * The key of this id; "unknown" where the JWKS has none, "unavailable" where no JWKS that is new enough to tell can be had.
   */
  async find(kid: string): Promise<VerifyingKey | "unknown" | "unavailable"> {
    const known = this.#keys?.get(kid);
    if (known !== undefined) {
      if (this.#age() > maxAge) void this.#load();
      return known;
    }
    const isRecent = this.#age() < this.#options.refetchInterval || (await this.#load());
    return this.#keys?.get(kid) ?? (isRecent ? "unknown" : "unavailable");
  }

  /** Has the keys fetched when they are needed next; those held serve until then. */
  expire(): void {
    this.#loadedAt = -Infinity;
    this.#loading = undefined;
  }

  /** Has the keys fetched when they are needed next; those held are not used any more. */
  reset(): void {
    this.#keys = undefined;
    this.expire();
  }

  close(): void {
    this.#closed.abort(new Error("the verifier is closed"));
  }

  #age(): number {
    return this.#options.clock.monotonic() - this.#loadedAt;
  }

  /** Fetches once for all who wait; false where that fails, and what is held stays. */
  #load(): Promise<boolean> {
    const { clock } = this.#options;
    if (this.#loading !== undefined) return this.#loading;
    if (clock.monotonic() - this.#failedAt < retryInterval) return Promise.resolve(false);
    const loading = this.#fetch().then(
      (keys) => {
        // Begun before the keys were to be fetched anew, it may have missed why.
        if (this.#loading !== loading) return this.#load();
        this.#loading = undefined;
        this.#keys = keys;
        this.#loadedAt = clock.monotonic();
        return true;
      },
      () => {
        if (this.#loading === loading) this.#loading = undefined;
        this.#failedAt = clock.monotonic();
        return false;
      },
    );
    this.#loading = loading;
    return loading;
  }

  async #fetch(): Promise<ReadonlyMap<string, VerifyingKey>> {
    const { url, tls, timeout } = this.#options;
    const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(timeout)]);
    const body = await getJson(url(), signal, tls);
    const keys = isObject(body) ? body["keys"] : undefined;
    if (!Array.isArray(keys)) throw new Error(`${url()} answered without a JWKS`);
    const imported = keys.slice(0, maxKeys).flatMap((jwk: unknown) => importKey(jwk) ?? []);
    return new Map(imported.map((key) => [key.kid, key]));
  }
}
