import { SessiondError } from "../errors.ts";
import type { Revocation } from "../revocation.ts";
import { type Session, idleExpireTimeOf, stateOf } from "../sessions/session.ts";

/** Fails with the UNAUTHENTICATED reason why `session` is not active at `now`. */
export function requireActive(session: Session, now: Date): void {
  const state = stateOf(session, now);
  switch (state) {
    case "active":
      return;
    case "revoked":
      throw revoked(session.revocation);
    case "expired":
      throw new SessiondError("SESSION_EXPIRED", {
        metadata: { expire_time: session.expireTime.toISOString() },
      });
    case "idle_expired":
      throw new SessiondError("SESSION_IDLE_EXPIRED", {
        metadata: { idle_expire_time: idleExpireTimeOf(session)?.toISOString() ?? "" },
      });
    default:
      state satisfies never;
  }
}

function revoked(revocation: Revocation | undefined): SessiondError {
  if (revocation === undefined) return new SessiondError("SESSION_REVOKED");
  const { scope, revision, time, cause } = revocation;
  return new SessiondError(scope === "session" ? "SESSION_REVOKED" : "SESSION_REVOKED_BY_CUTOFF", {
    metadata: { scope, revision: String(revision), revoke_time: time.toISOString(), cause },
  });
}
