import type { SigningKeyStore } from "../keys/signing-key.ts";
import type { ProjectStore } from "./project-store.ts";
import type { RevocationStore } from "./revocation-store.ts";
import type { SessionStore } from "./session-store.ts";

/**
 * The database, as the use cases see it. Promise 1 rests on one rule: a call is only ever answered by a statement that started
 * after the call arrived. Every method fails with DATABASE_UNAVAILABLE while the database does not answer. Methods that take a
 * call also fail with OVERLOADED if too many wait, and with DEADLINE_EXCEEDED: both before anything is done, except for a
 * commit under way.
 */
export interface Store {
  readonly sessions: SessionStore;
  readonly revocations: RevocationStore;
  readonly projects: ProjectStore;
  readonly signingKeys: SigningKeyStore;
  /** Resolves when the database answers. */
  ping(): Promise<void>;
}
