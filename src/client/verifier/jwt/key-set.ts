import { type IncomingMessage, get as getHttp } from "node:http";
import { get as getHttps } from "node:https";
import { json } from "node:stream/consumers";
import { isJsonObject } from "../../../jwt/compact-jws.ts";
import { type KeyWithId, readJwk } from "../../../jwt/signature.ts";
import type { ClientClock } from "../../clock.ts";
import type { TlsClientOptions } from "../../transport.ts";

export interface KeySetOptions {
  /** Returns the URL of the JWKS at the address in use. */
  readonly url: () => string;
  readonly tls?: TlsClientOptions | undefined;
  readonly clock: ClientClock;
  /** Shortest time between two fetches that unknown key ids cause. */
  readonly refetchIntervalMs: number;
  readonly timeoutMs: number;
}

/** Number of keys that are read from a JWKS. */
const maxKeys = 100;
/** Age after which a JWKS is fetched again in the background. */
const maxAgeMs = 10 * 60_000;
/** Shortest time between two fetches after a failure. */
const retryIntervalMs = 500;

/** The project's signing keys. Fetches the JWKS on first use, and again when an unknown key id appears. */
export class KeySet {
  readonly #options: KeySetOptions;
  readonly #closed = new AbortController();
  #keys: ReadonlyMap<string, KeyWithId> | undefined;
  #loading: Promise<boolean> | undefined;
  #loadedAt = -Infinity;
  #failedAt = -Infinity;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  /** Returns "unknown" if the JWKS has no such key, and "unavailable" if no JWKS that is new enough can be fetched. */
  async find(kid: string): Promise<KeyWithId | "unknown" | "unavailable"> {
    const known = this.#keys?.get(kid);
    if (known !== undefined) {
      if (this.#age() > maxAgeMs) void this.#load();
      return known;
    }
    const isRecent = this.#age() < this.#options.refetchIntervalMs || (await this.#load());
    return this.#keys?.get(kid) ?? (isRecent ? "unknown" : "unavailable");
  }

  /** Makes the next look-up fetch the JWKS. Known keys stay in use until then. */
  expire(): void {
    this.#loadedAt = -Infinity;
    this.#loading = undefined;
  }

  /** Drops all keys, so that the next look-up fetches the JWKS. */
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

  /** Fetches the JWKS once for all concurrent callers. Returns false on failure; the known keys stay. */
  #load(): Promise<boolean> {
    const { clock } = this.#options;
    if (this.#loading !== undefined) return this.#loading;
    if (clock.monotonic() - this.#failedAt < retryIntervalMs) return Promise.resolve(false);
    const loading = this.#fetch().then(
      (keys) => {
        // expire() or reset() was called during the fetch, so that its result may be too old.
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

  async #fetch(): Promise<ReadonlyMap<string, KeyWithId>> {
    const { url, tls, timeoutMs } = this.#options;
    const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(timeoutMs)]);
    const body = await getJson(url(), signal, tls);
    const keys = isJsonObject(body) ? body["keys"] : undefined;
    if (!Array.isArray(keys)) throw new Error(`${url()}: the answer is not a JWKS`);
    const imported = keys.slice(0, maxKeys).flatMap((jwk: unknown) => readJwk(jwk) ?? []);
    return new Map(imported.map((key) => [key.kid, key]));
  }
}

/** Fetches JSON, past caches. Rejects for every status except 200, redirects included. Not `fetch()`, which takes no CA. */
function getJson(url: string, signal: AbortSignal, tls: TlsClientOptions = {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    // A connection of its own, because a kept one may be dead without a sign.
    const options = {
      signal,
      agent: false,
      headers: { accept: "application/json", "cache-control": "no-cache" },
    };
    const onResponse = (response: IncomingMessage) => {
      if (response.statusCode === 200) {
        json(response).then(resolve, reject);
      } else {
        response.resume();
        reject(new Error(`${url} answered ${response.statusCode}`));
      }
    };
    const request = url.startsWith("https:")
      ? getHttps(url, { ...options, ...tls }, onResponse)
      : getHttp(url, options, onResponse);
    request.once("error", reject);
  });
}
