import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { WatchRevocationsResponse } from "../../../../gen/session/v1/session_service_pb.ts";
import {
  type Revocation as RevocationMessage,
  RevocationScope,
} from "../../../../gen/session/v1/revocation_pb.ts";

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
  /** When it was made, in milliseconds since 1970 on the server's clock; Infinity if the server does not state it. */
  readonly revokedAt: number;
  /** Expiry of the last JWT that it can affect, in milliseconds since 1970; Infinity if the server does not state it. */
  readonly matterUntil: number;
}

/** A message of the stream of revocations. */
export interface StreamMessage {
  readonly revocations: readonly VerifierRevocation[];
  readonly revision: number;
  readonly upToDate: boolean;
  /** See WatchRevocationsResponse.read_offset. */
  readonly readOffsetMs: number;
  /** Where the stream resumes after this message. */
  readonly position: string;
  /** See WatchRevocationsResponse.recovery_ids. */
  readonly recoveryIds: readonly string[];
}

/** A revocation has a scope that this version does not know, so that it does not know what was revoked. */
export class UnknownScopeError extends Error {
  override readonly name = "UnknownScopeError";
}

/** Throws UnknownScopeError. */
function readRevocation(message: RevocationMessage): VerifierRevocation {
  const { revision, targetId, exceptSessionId } = message;
  const scope = scopeNames[message.scope];
  if (scope === undefined) {
    throw new UnknownScopeError(
      `revision ${revision} has the scope ${message.scope}, which this version of the verifier does not know: upgrade it`,
    );
  }
  return {
    revision: Number(revision),
    scope,
    targetId,
    exceptSessionId: exceptSessionId === "" ? undefined : exceptSessionId.toLowerCase(),
    revokedAt: millisecondsOf(message.revokeTime),
    matterUntil: millisecondsOf(message.lastJwtExpireTime),
  };
}

/** Reads a message of the stream. Throws for a revocation of an unknown scope. */
export function readMessage(message: WatchRevocationsResponse): StreamMessage {
  const { revocations, revision, upToDate, readOffset, position, recoveryIds } = message;
  return {
    revocations: revocations.map(readRevocation),
    revision: Number(revision),
    upToDate,
    // Without it the message only proves that it was read after the call started.
    readOffsetMs:
      readOffset === undefined ? 0 : Number(readOffset.seconds) * 1000 + Math.floor(readOffset.nanos / 1e6),
    position,
    recoveryIds,
  };
}

function millisecondsOf(time: Timestamp | undefined): number {
  return time === undefined ? Infinity : Number(time.seconds) * 1000 + Math.ceil(time.nanos / 1e6);
}
