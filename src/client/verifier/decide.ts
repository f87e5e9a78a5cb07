import { checkTimes } from "../../jwt/claims.ts";
import { introspect } from "./introspect.ts";
import type { CheckedJwt } from "./jwt/jwt-check.ts";
import type { VerifierParts } from "./log-follower.ts";
import { type Rejection, type Verdict, invalid } from "./verdict.ts";

/** Decides about a JWT: signature and claims, then known revocations and time, then the age of that knowledge. Never rejects. */
export async function decide(parts: VerifierParts, jwt: string): Promise<Verdict> {
  const checked = await parts.jwts.check(jwt);
  if (checked === "keys unavailable") {
    const { disabled } = parts.copy;
    return disabled === undefined ? undecided(parts) : { ok: false, reason: "revoked", ...disabled };
  }
  if (typeof checked === "string") return invalid(checked);
  return rejectionOf(parts, jwt, checked) ?? acceptance(parts, jwt, checked);
}

/** Rejects a JWT that is known to be revoked, however old this knowledge is, and one that is not valid at this time. */
function rejectionOf(
  { settings: { clock }, copy, jwts }: VerifierParts,
  jwt: string,
  { claims, kid }: CheckedJwt,
): Rejection | undefined {
  const revocation = copy.findRevocation(kid, claims);
  if (revocation !== undefined) return { ok: false, reason: "revoked", ...revocation };
  const times = checkTimes(claims, clock.wall());
  if (times === "early") return invalid("time");
  if (times === "expired" || claims.expiresAt * 1000 <= copy.forgottenUntil) {
    jwts.forget(jwt);
    return { ok: false, reason: "expired" };
  }
  return undefined;
}

/**
 * Accepts a JWT locally if the known revocations are fresh and of the log that was followed before; otherwise `onStale` or
 * `onHistoryChanged` decides.
 */
function acceptance(parts: VerifierParts, jwt: string, checked: CheckedJwt): Verdict | Promise<Verdict> {
  const { settings, freshness, copy, source } = parts;
  const { claims } = checked;
  if (copy.history === "changed" && !freshness.isClosed) {
    return settings.onHistoryChanged === "ask" ? askServer(parts, jwt, checked) : undecided(parts);
  }
  if (freshness.isFresh()) return { ok: true, claims, answeredBy: "verifier", stale: false };
  if (freshness.isClosed) return stale(parts);
  switch (settings.onStale) {
    case "refuse":
      return stale(parts);
    case "accept":
      if (copy.index === undefined) return stale(parts);
      source.emit("staleAccepted", { sessionId: claims.sessionId, staleness: freshness.staleness() });
      return { ok: true, claims, answeredBy: "verifier", stale: true };
    case "ask":
      return askServer(parts, jwt, checked);
  }
}

async function askServer(parts: VerifierParts, jwt: string, checked: CheckedJwt): Promise<Verdict> {
  const answer = await introspect(parts, jwt);
  if (answer === "unavailable") return undecided(parts);
  if (answer !== "valid") return answer;
  const accepted = { ok: true, claims: checked.claims, answeredBy: "server", stale: false } as const;
  // A revocation may have arrived during the call.
  return rejectionOf(parts, jwt, checked) ?? accepted;
}

function undecided(parts: VerifierParts): Rejection {
  return parts.copy.history === "changed" ? { ok: false, reason: "history_changed" } : stale(parts);
}

function stale({ freshness }: VerifierParts): Rejection {
  return { ok: false, reason: "stale", staleness: freshness.staleness() };
}
