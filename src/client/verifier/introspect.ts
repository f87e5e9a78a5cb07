import { errorInfoOf, isSessionRefused } from "../error-info.ts";
import { isCredentialRefused, isProjectDisabled } from "./credential-refusals.ts";
import type { VerifierParts } from "./log-follower.ts";
import { invalidities } from "./jwt/jwt-check.ts";
import { verifierScopes } from "./revocations/revocation.ts";
import { type Rejection, invalid } from "./verdict.ts";

/**
 * Asks the server about a JWT. Every JWT gets a call of its own: a shared answer could be older than the question. Returns
 * "unavailable" if the server gives no verdict within `askTimeout`.
 */
export async function introspect(
  { connections, refusals, settings, copy }: VerifierParts,
  jwt: string,
): Promise<"valid" | "unavailable" | Rejection> {
  const { askTimeout: timeoutMs } = settings;
  const connection = connections.shared();
  try {
    await connection.sessions.authenticate({ credential: { case: "jwt", value: jwt } }, { timeoutMs });
    refusals.accepted("Authenticate");
    return "valid";
  } catch (error) {
    if (isSessionRefused(error)) {
      refusals.accepted("Authenticate");
      return rejectionIn(error);
    }
    if (error instanceof Error && isCredentialRefused(error)) {
      refusals.report({ call: "Authenticate", baseUrl: connection.baseUrl, error });
      if (isProjectDisabled(error)) copy.disableProject();
      if (copy.disabled !== undefined) return { ok: false, reason: "revoked", ...copy.disabled };
      return { ok: false, reason: "misconfigured" };
    }
    // Later calls may still wait on this connection. Each has its own deadline.
    connections.replaceShared(connection, timeoutMs);
    return "unavailable";
  }
}

/** Reads the server's verdict on the JWT. */
function rejectionIn(error: unknown): Rejection {
  const info = errorInfoOf(error);
  switch (info?.reason) {
    case "JWT_EXPIRED":
    case "SESSION_EXPIRED":
    case "SESSION_IDLE_EXPIRED":
      return { ok: false, reason: "expired" };
    case "SESSION_REVOKED":
    case "SESSION_REVOKED_BY_CUTOFF": {
      const { revision, scope: name } = info.metadata;
      const scope = verifierScopes.find((each) => each === name) ?? "session";
      return { ok: false, reason: "revoked", revision: Number(revision ?? 0), scope };
    }
    default:
      return invalid(invalidities.find((each) => each === info?.metadata["problem"]) ?? "session");
  }
}
