import { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import type { Connections } from "./stream/connections.ts";
import type { Scope } from "./revocations/revocation.ts";
import { type Invalidity, type Refusal, invalid } from "./verdict.ts";

/**
 * Asks the server whether a JWT is good, within `timeout` milliseconds; every time, and nobody shares another's answer, which
 * may be older than the question. "unanswered" where it does not say.
 */
export async function ask(
  connections: Connections,
  jwt: string,
  timeout: number,
): Promise<"good" | "unanswered" | Refusal> {
  const connection = connections.shared();
  try {
    const credential = { case: "jwt", value: jwt } as const;
    await connection.sessions.authenticate({ credential }, { timeoutMs: timeout });
    return "good";
  } catch (error) {
    const refusal = refusalIn(error);
    if (refusal !== undefined) return refusal;
    // Calls that began later may still be waiting on it; each has its own deadline.
    connections.replaceShared(connection, timeout);
    return "unanswered";
  }
}

/** What the server's error says of the JWT; undefined where it says nothing of it. */
function refusalIn(error: unknown): Refusal | undefined {
  const info = error instanceof ConnectError ? error.findDetails(ErrorInfoSchema)[0] : undefined;
  switch (info?.reason) {
    case "JWT_EXPIRED":
    case "SESSION_EXPIRED":
    case "SESSION_IDLE_EXPIRED":
      return { ok: false, reason: "expired" };
    case "SESSION_REVOKED":
    case "SESSION_REVOKED_BY_CUTOFF": {
      const { revision, scope } = info.metadata;
      return { ok: false, reason: "revoked", revision: Number(revision ?? 0), scope: scopeIn(scope) };
    }
    case "SESSION_UNKNOWN":
      return invalid(invalidityIn(info.metadata["problem"]));
    default:
      return undefined;
  }
}

const scopes: readonly Scope[] = ["session", "member", "organization", "project", "signing_key"];

function scopeIn(text: string | undefined): Scope {
  return scopes.find((scope) => scope === text) ?? "session";
}

const invalidities: readonly Invalidity[] = [
  "form",
  "algorithm",
  "key",
  "signature",
  "type",
  "issuer",
  "audience",
  "claims",
  "time",
];

function invalidityIn(text: string | undefined): Invalidity {
  return invalidities.find((what) => what === text) ?? "session";
}
