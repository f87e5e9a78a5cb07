import type { SessionJwts } from "../keys/session-jwts.ts";
import type { Store } from "../store.ts";

/** What the use cases work with. */
export interface Deps {
  readonly store: Store;
  readonly jwts: SessionJwts;
  /** The one clock: creation, expiry, JWTs and the times in the log come from it. */
  readonly now: () => Date;
}
