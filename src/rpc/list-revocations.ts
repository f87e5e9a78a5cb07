import type { ListRevocationsRequest } from "../../gen/session/v1/session_service_pb.ts";
import { RevocationScope } from "../../gen/session/v1/revocation_pb.ts";
import { actingUserForm } from "../auth/acting-user.ts";
import {
  maxOpaqueIdLength,
  parseActingUser,
  parseCredentialId,
  parseMemberId,
  parseSessionId,
} from "../domain/ids.ts";
import { type Scope, operatorActor, policyActor } from "../domain/revocation.ts";
import type { ListRevocations } from "../domain/use-cases/list-revocations.ts";
import { type FieldChecker, readFields } from "./messages/fields.ts";
import { parseScope } from "./messages/revocation-messages.ts";

export function readListRevocations(request: ListRevocationsRequest): ListRevocations {
  return readFields((fields) => {
    const startTime = fields.time("start_time", request.startTime);
    const endTime = fields.time("end_time", request.endTime);
    if (startTime !== undefined && endTime !== undefined && startTime >= endTime) {
      fields.violation("end_time", "must be later than start_time");
    }
    const actor = fields.optional(request.actor, (text) =>
      fields.parsed("actor", text, parseActor, actorForm),
    );
    const scope = readScope(fields, request.scope);
    return {
      startTime,
      endTime,
      actor,
      actingUser: fields.optional(request.actingUser, (text) =>
        fields.parsed("acting_user", text, parseActingUser, actingUserForm),
      ),
      memberId: fields.optional(request.memberId, (id) => fields.memberId("member_id", id)),
      scope,
      targetId: fields.optional(request.targetId, (id) => readTargetId(fields, scope, id)),
      pageSize: request.pageSize,
      pageToken: request.pageToken,
    };
  });
}

function readScope(fields: FieldChecker, scope: RevocationScope): Scope | undefined {
  if (scope === RevocationScope.UNSPECIFIED) return undefined;
  return fields.parsed("scope", scope, parseScope, "must be a RevocationScope");
}

function readTargetId(fields: FieldChecker, scope: Scope | undefined, id: string): string {
  if (scope === undefined) return fields.violation("target_id", "needs the scope that it is the id of");
  if (scope === "session") {
    return fields.parsed("target_id", id, parseSessionId, "must be a UUID if the scope is that of a session");
  }
  return fields.text("target_id", id, maxOpaqueIdLength);
}

const actorForm = `must be service/<credential id>, member/<member id>, ${policyActor} or ${operatorActor}`;

/** Parses an actor in the form of the log. */
function parseActor(text: string): string | undefined {
  if (text === policyActor || text === operatorActor) return text;
  const [, kind, id = ""] = /^(service|member)\/(.+)$/s.exec(text) ?? [];
  if (kind === "member") return parseMemberId(id) && text;
  const credentialId = kind === "service" ? parseCredentialId(id) : undefined;
  return credentialId && `service/${credentialId}`;
}
