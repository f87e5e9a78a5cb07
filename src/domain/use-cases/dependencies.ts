import type { ConcurrencyLimit } from "../concurrency-limit.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import type { MasterKeys } from "../keys/sealing.ts";
import type { SessionJwts } from "../keys/session-jwts.ts";
import type { Store } from "../store/store.ts";

export interface Dependencies {
  readonly store: Store;
  readonly jwts: SessionJwts;
  /** Seal the tokens of creations that may be repeated. */
  readonly masterKeys: MasterKeys;
  /** The one wall clock: of creation, expiry, JWTs and the log. */
  readonly now: () => Date;
}

export interface ProjectDependencies {
  readonly store: Pick<Store, "projects">;
  readonly now: () => Date;
}

export interface SigningKeyDependencies {
  readonly store: Pick<Store, "projects" | "signingKeys" | "revocations">;
  readonly keyRing: KeyRing;
  /** Limits how many calls read a JWKS. They need no credential, so they must leave room for authenticated calls. */
  readonly jwksReaders: ConcurrencyLimit;
  readonly now: () => Date;
}
