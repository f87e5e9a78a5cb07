import type { Timestamp } from "@bufbuild/protobuf/wkt";
import {
  type Revocation as RevocationMessage,
  RevocationScope,
} from "../../../../gen/session/v1/session_service_pb.ts";

/** A revoked signing key invalidates the JWTs that it signed, not the sessions. */
export type VerifierScope = "session" | "member" | "organization" | "project" | "signing_key";

/** A revocation in the verifier's copy of the log. */
export interface VerifierRevocation {
  readonly revision: number;
  readonly scope: VerifierScope;
  /** Id of the session, member, organization, project or signing key. */
  readonly targetId: string;
  /** The session within the scope that is exempt. */
  readonly exceptSessionId: string | undefined;
  /** Expiry of the last JWT that it can affect, in milliseconds since 1970; Infinity if the server does not state it. */
  readonly matterUntil: number;
}

/**
 * Reads a revocation of the stream. Throws for an unknown scope: a verifier that does not know what was revoked must not
 * continue.
 */
export function readRevocation(message: RevocationMessage): VerifierRevocation {
  return {
    revision: Number(message.revision),
    scope: scopeOf(message),
    targetId: message.targetId,
    exceptSessionId: message.exceptSessionId === "" ? undefined : message.exceptSessionId.toLowerCase(),
    matterUntil: millisecondsOf(message.matterUntilTime),
  };
}

function scopeOf({ scope, revision }: RevocationMessage): VerifierScope {
  switch (scope) {
    case RevocationScope.SESSION:
      return "session";
    case RevocationScope.MEMBER:
      return "member";
    case RevocationScope.ORGANIZATION:
      return "organization";
    case RevocationScope.PROJECT:
      return "project";
    case RevocationScope.SIGNING_KEY:
      return "signing_key";
    default:
      throw new Error(
        `revision ${revision} has the scope ${scope}, which this version of the verifier does not know: upgrade it`,
      );
  }
}

function millisecondsOf(time: Timestamp | undefined): number {
  return time === undefined ? Infinity : Number(time.seconds) * 1000 + Math.ceil(time.nanos / 1e6);
}
