import { errorInfoOf } from "../error-info.ts";
import type { Connections } from "./connections.ts";
import { invalidities } from "./jwt/jwt-check.ts";
import { verifierScopes } from "./revocations/revocation.ts";
import { type Rejection, invalid } from "./verdict.ts";

/**
 * Asks the server about a JWT. Every JWT gets a call of its own: a shared answer could be older than the question. Returns
 * "unavailable" if the server gives no verdict within `timeoutMs`.
 */
export async function introspect(
  connections: Connections,
  jwt: string,
  timeoutMs: number,
): Promise<"valid" | "unavailable" | Rejection> {
  const connection = connections.shared();
  try {
    await connection.sessions.authenticate({ credential: { case: "jwt", value: jwt } }, { timeoutMs });
    return "valid";
  } catch (error) {
    const rejection = rejectionIn(error);
    if (rejection !== undefined) return rejection;
    // Later calls may still wait on this connection. Each has its own deadline.
    connections.replaceShared(connection, timeoutMs);
    return "unavailable";
  }
}

/** Returns undefined if the error is not a verdict on the JWT. */
function rejectionIn(error: unknown): Rejection | undefined {
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
    case "SESSION_UNKNOWN":
      return invalid(invalidities.find((each) => each === info.metadata["problem"]) ?? "session");
    default:
      return undefined;
  }
}
