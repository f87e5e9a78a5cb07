import type { Timestamp } from "@bufbuild/protobuf/wkt";
import {
  type Revocation as RevocationMessage,
  RevocationScope,
} from "../../../../gen/session/v1/session_service_pb.ts";

/** What a revocation ended, in the words of the API. A revoked signing key ends what it signed, not the sessions. */
export type Scope = "session" | "member" | "organization" | "project" | "signing_key";

/** A revocation as the verifier holds it. */
export interface Revocation {
  readonly revision: number;
  readonly scope: Scope;
  /** Id of the session, member, organization, project or signing key. */
  readonly targetId: string;
  /** The session within the scope that was to be spared. */
  readonly exceptSessionId: string | undefined;
  /** When the last JWT it can matter to has expired, in milliseconds since 1970; Infinity when the server does not say. */
  readonly matterUntil: number;
}

/**
 * Reads a revocation of the stream. Throws for a scope that this version does not know: a verifier that cannot tell what was
 * revoked must not go on as if nothing was.
 */
export function readRevocation(message: RevocationMessage): Revocation {
  return {
    revision: Number(message.revision),
    scope: scopeOf(message),
    targetId: message.targetId,
    exceptSessionId: message.exceptSessionId === "" ? undefined : message.exceptSessionId.toLowerCase(),
    matterUntil: millisecondsOf(message.matterUntilTime),
  };
}

function scopeOf({ scope, revision }: RevocationMessage): Scope {
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
        `revision ${revision} has the scope ${scope}, which this verifier does not know: use a newer one`,
      );
  }
}

function millisecondsOf(time: Timestamp | undefined): number {
  return time === undefined ? Infinity : Number(time.seconds) * 1000 + Math.ceil(time.nanos / 1e6);
}
