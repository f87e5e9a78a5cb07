import { checkTimes } from "../../jwt/claims.ts";
import type { Connections } from "./connections.ts";
import type { EventSource } from "./events.ts";
import { introspect } from "./introspect.ts";
import type { CheckedJwt, JwtCheck } from "./jwt/jwt-check.ts";
import type { VerifierSettings } from "./options.ts";
import type { Freshness } from "./revocations/freshness.ts";
import type { RevocationCopy } from "./revocations/revocation-copy.ts";
import { type Rejection, type Verdict, invalid } from "./verdict.ts";

/** What a decision about a JWT depends on. */
export interface DecisionSources {
  readonly settings: VerifierSettings;
  readonly jwts: JwtCheck;
  readonly copy: RevocationCopy;
  readonly freshness: Freshness;
  readonly connections: Connections;
  readonly source: EventSource;
}

/** Decides about a JWT: signature and claims, then known revocations and time, then the age of that knowledge. Never rejects. */
export async function decide(sources: DecisionSources, jwt: string): Promise<Verdict> {
  const checked = await sources.jwts.check(jwt);
  if (checked === "keys unavailable") return stale(sources);
  if (typeof checked === "string") return invalid(checked);
  return rejectionOf(sources, jwt, checked) ?? acceptance(sources, jwt, checked);
}

/** Rejects a JWT that is known to be revoked, however old this knowledge is, and one that is not valid at this time. */
function rejectionOf(
  { settings: { clock, clockTolerance }, copy: { index }, jwts }: DecisionSources,
  jwt: string,
  { claims, kid }: CheckedJwt,
): Rejection | undefined {
  const revocation = index?.findKeyRevocation(kid) ?? index?.findRevocation(claims);
  if (revocation !== undefined) return { ok: false, reason: "revoked", ...revocation };
  const times = checkTimes(claims, clock.wall(), clockTolerance);
  if (times === "early") return invalid("time");
  if (times === "expired" || claims.expiresAt * 1000 <= (index?.forgottenUntil ?? 0)) {
    jwts.forget(jwt);
    return { ok: false, reason: "expired" };
  }
  return undefined;
}

/** Accepts a JWT locally if the known revocations are fresh; otherwise `onStale` decides. */
function acceptance(
  sources: DecisionSources,
  jwt: string,
  { claims }: CheckedJwt,
): Verdict | Promise<Verdict> {
  const { settings, freshness, copy, source } = sources;
  if (freshness.isFresh()) return { ok: true, claims, answeredBy: "verifier", stale: false };
  if (freshness.isClosed) return stale(sources);
  switch (settings.onStale) {
    case "refuse":
      return stale(sources);
    case "accept":
      if (copy.index === undefined) return stale(sources);
      source.emit("staleAccepted", { sessionId: claims.sessionId, staleness: freshness.staleness() });
      return { ok: true, claims, answeredBy: "verifier", stale: true };
    case "ask":
      return askServer(sources, jwt, claims);
  }
}

async function askServer(
  sources: DecisionSources,
  jwt: string,
  claims: CheckedJwt["claims"],
): Promise<Verdict> {
  const answer = await introspect(sources.connections, jwt, sources.settings.askTimeout);
  if (answer === "valid") return { ok: true, claims, answeredBy: "server", stale: false };
  return answer === "unavailable" ? stale(sources) : answer;
}

function stale({ freshness }: DecisionSources): Rejection {
  return { ok: false, reason: "stale", staleness: freshness.staleness() };
}
