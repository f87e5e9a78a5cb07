import type { Timestamp } from "@bufbuild/protobuf/wkt";
import {
  type Revocation as RevocationMessage,
  RevocationScope,
} from "../../../../gen/session/v1/session_service_pb.ts";

export const verifierScopes = ["session", "member", "organization", "project", "signing_key"] as const;
/** A revoked signing key invalidates the JWTs that it signed, not the sessions. */
export type VerifierScope = (typeof verifierScopes)[number];

const scopeNames: Readonly<Partial<Record<RevocationScope, VerifierScope>>> = {
  [RevocationScope.SESSION]: "session",
  [RevocationScope.MEMBER]: "member",
  [RevocationScope.ORGANIZATION]: "organization",
  [RevocationScope.PROJECT]: "project",
  [RevocationScope.SIGNING_KEY]: "signing_key",
};

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
  const { revision, targetId, exceptSessionId } = message;
  const scope = scopeNames[message.scope];
  if (scope === undefined) {
    throw new Error(
      `revision ${revision} has the scope ${message.scope}, which this version of the verifier does not know: upgrade it`,
    );
  }
  return {
    revision: Number(revision),
    scope,
    targetId,
    exceptSessionId: exceptSessionId === "" ? undefined : exceptSessionId.toLowerCase(),
    matterUntil: millisecondsOf(message.matterUntilTime),
  };
}

function millisecondsOf(time: Timestamp | undefined): number {
  return time === undefined ? Infinity : Number(time.seconds) * 1000 + Math.ceil(time.nanos / 1e6);
}
