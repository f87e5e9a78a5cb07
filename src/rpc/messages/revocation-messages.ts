import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type RevocationSchema, RevocationScope } from "../../../gen/session/v1/session_service_pb.ts";
import type { LoggedRevocation, RecordedRevocation } from "../../domain/revocations/revocation-log.ts";
import type { Scope } from "../../domain/revocation.ts";
import { toCauseMessage } from "./session-messages.ts";

const scopes: Record<Scope, RevocationScope> = {
  session: RevocationScope.SESSION,
  member: RevocationScope.MEMBER,
  organization: RevocationScope.ORGANIZATION,
  project: RevocationScope.PROJECT,
  signing_key: RevocationScope.SIGNING_KEY,
};

const names = new Map((Object.keys(scopes) as Scope[]).map((scope) => [scopes[scope], scope]));

/** The scope; undefined for an unknown number. */
export function parseScope(scope: RevocationScope): Scope | undefined {
  return names.get(scope);
}

/** A revocation as watchers are told of it. */
export function toLoggedMessage(revocation: LoggedRevocation): MessageInitShape<typeof RevocationSchema> {
  return {
    revision: BigInt(revocation.revision),
    scope: scopes[revocation.scope],
    targetId: revocation.targetId,
    exceptSessionId: revocation.exceptSessionId ?? "",
    revokeTime: timestampFromDate(revocation.time),
    cause: toCauseMessage(revocation.cause),
    matterUntilTime: timestampFromDate(revocation.relevantUntil),
  };
}

/** A revocation as auditors are told of it. */
export function toRecordedMessage(revocation: RecordedRevocation): MessageInitShape<typeof RevocationSchema> {
  const { actor, reason } = revocation;
  return { ...toLoggedMessage(revocation), actor, reason };
}
