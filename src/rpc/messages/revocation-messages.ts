import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type RevocationSchema, RevocationScope } from "../../../gen/session/v1/revocation_pb.ts";
import type { LoggedRevocation, RecordedRevocation } from "../../domain/revocations/revocation-log.ts";
import type { Scope } from "../../domain/revocation.ts";
import { namesOf } from "./fields.ts";
import { protoCauses } from "./session-messages.ts";

const scopes: Record<Scope, RevocationScope> = {
  session: RevocationScope.SESSION,
  member: RevocationScope.MEMBER,
  organization: RevocationScope.ORGANIZATION,
  project: RevocationScope.PROJECT,
  signing_key: RevocationScope.SIGNING_KEY,
};

const names = namesOf(scopes);

/** Returns undefined for an unknown number. */
export function parseScope(scope: RevocationScope): Scope | undefined {
  return names.get(scope);
}

/** Message of a revocation for watchers. */
export function toLoggedMessage(revocation: LoggedRevocation): MessageInitShape<typeof RevocationSchema> {
  return {
    revision: BigInt(revocation.revision),
    scope: scopes[revocation.scope],
    targetId: revocation.targetId,
    exceptSessionId: revocation.exceptSessionId ?? "",
    revokeTime: timestampFromDate(revocation.time),
    cause: protoCauses[revocation.cause],
    lastJwtExpireTime: timestampFromDate(revocation.relevantUntil),
  };
}

/** Message of a revocation for auditors: with who made it, why, and whose session it ended. */
export function toRecordedMessage(revocation: RecordedRevocation): MessageInitShape<typeof RevocationSchema> {
  const { actor, actingUser = "", reason, memberId = "", organizationId = "" } = revocation;
  return { ...toLoggedMessage(revocation), actor, actingUser, reason, memberId, organizationId };
}
