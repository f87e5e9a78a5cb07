import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { SessionState as ProtoState, type SessionSchema } from "../../../gen/session/v1/session_pb.ts";
import { RevocationCause } from "../../../gen/session/v1/revocation_pb.ts";
import { namesOf } from "./fields.ts";
import type { Caller } from "../../domain/use-cases/caller.ts";
import type { Cause, RevocationReceipt } from "../../domain/revocation.ts";
import type { RevokeAllOutcome } from "../../domain/use-cases/revoke-all.ts";
import { type Session, type SessionState, idleExpireTimeOf, stateOf } from "../../domain/sessions/session.ts";

/** Message of a session at `now`, for `caller`. */
export function toSessionMessage(
  session: Session,
  now: Date,
  caller?: Caller,
): MessageInitShape<typeof SessionSchema> {
  const { revocation, idleTimeout } = session;
  const idleExpireTime = idleExpireTimeOf(session);
  return {
    id: session.id,
    memberId: session.memberId,
    organizationId: session.organizationId ?? "",
    state: protoStates[stateOf(session, now)],
    createTime: timestampFromDate(session.createTime),
    lastAccessTime: timestampFromDate(session.lastAccessTime),
    expireTime: timestampFromDate(session.expireTime),
    ...(idleExpireTime && { idleExpireTime: timestampFromDate(idleExpireTime) }),
    ...(idleTimeout !== undefined && { idleTimeout: durationFromMs(idleTimeout) }),
    ...(revocation && {
      revokeTime: timestampFromDate(revocation.time),
      revokeCause: protoCauses[revocation.cause],
      revokeReason: revocation.reason,
      revokeActor: revocation.actor,
      revokeActingUser: revocation.actingUser ?? "",
      revokeRevision: BigInt(revocation.revision),
    }),
    device: session.device,
    authenticationFactors: session.authenticationFactors.map((factor) => ({
      ...factor,
      authenticateTime: timestampFromDate(factor.authenticateTime),
    })),
    roles: [...session.roles],
    customClaims: session.customClaims,
    current: caller?.kind === "member" && caller.session.id === session.id,
  };
}

/** Fields of RevokeResponse and RevokeAllResponse. */
export function toRevocationMessage(receipt: RevocationReceipt | RevokeAllOutcome) {
  const { revision, time, revokedCount } = receipt;
  return {
    ...(revision !== undefined && { revision: BigInt(revision) }),
    ...(time && { revokeTime: timestampFromDate(time) }),
    ...(revokedCount !== undefined && { revokedCount: BigInt(revokedCount) }),
  };
}

const protoStates: Record<SessionState, ProtoState> = {
  active: ProtoState.ACTIVE,
  expired: ProtoState.EXPIRED,
  idle_expired: ProtoState.IDLE_EXPIRED,
  revoked: ProtoState.REVOKED,
};

export const protoCauses: Record<Cause, RevocationCause> = {
  unspecified: RevocationCause.UNSPECIFIED,
  logout: RevocationCause.LOGOUT,
  credential_change: RevocationCause.CREDENTIAL_CHANGE,
  compromise: RevocationCause.COMPROMISE,
  administration: RevocationCause.ADMINISTRATION,
  member_disabled: RevocationCause.MEMBER_DISABLED,
  policy: RevocationCause.POLICY,
  session_limit: RevocationCause.SESSION_LIMIT,
  token_reuse: RevocationCause.TOKEN_REUSE,
};

const states = namesOf(protoStates);
const causes = namesOf(protoCauses);

/** Returns undefined for an unknown number. */
export function parseState(state: ProtoState): SessionState | undefined {
  return states.get(state);
}

/** Returns undefined for an unknown number. */
export function parseCause(cause: RevocationCause): Cause | undefined {
  return causes.get(cause);
}
