import { type AuthenticationFactor, SessionState } from "../../../gen/session/v1/session_pb.ts";
import type {
  AuthenticateRequest,
  CreateRequest,
  ListRequest,
  RevokeAllRequest,
  RevokeRequest,
} from "../../../gen/session/v1/session_service_pb.ts";
import { maxJwtLength } from "../../jwt/compact-jws.ts";
import { parseRequestId } from "../../domain/ids.ts";
import { durationBounds } from "../../domain/policy.ts";
import { maxReasonLength } from "../../domain/revocation.ts";
import { problemOfClaims } from "../../domain/sessions/custom-claims.ts";
import { loginBounds, parseIpAddress } from "../../domain/sessions/login-bounds.ts";
import { maxTokenLength } from "../../domain/token.ts";
import type { SessionCredential } from "../../domain/use-cases/authenticate.ts";
import type { CreateSession } from "../../domain/use-cases/create-session.ts";
import type { ListSessions } from "../../domain/use-cases/read-sessions.ts";
import type { RevokeAll, RevokeAllScope } from "../../domain/use-cases/revoke-all.ts";
import type { RevocationDetails, RevokeTarget } from "../../domain/use-cases/revoke.ts";
import { type FieldChecker, readFields } from "./fields.ts";
import { parseCause, parseState } from "./session-messages.ts";

export function readCreate(request: CreateRequest): CreateSession {
  return readFields((fields) => ({
    memberId: fields.memberId("member_id", request.memberId),
    organizationId: fields.optional(request.organizationId, (id) =>
      fields.organizationId("organization_id", id),
    ),
    device: {
      userAgent: fields.text("device.user_agent", request.device?.userAgent ?? "", loginBounds.userAgent),
      ipAddress:
        fields.optional(request.device?.ipAddress ?? "", (text) =>
          fields.parsed("device.ip_address", text, parseIpAddress, addressForm),
        ) ?? "",
    },
    authenticationFactors: fields.list(
      "authentication_factors",
      request.authenticationFactors,
      loginBounds.factors,
      (field, factor) => readFactor(fields, field, factor),
    ),
    roles: readRoles(fields, request.roles),
    customClaims: fields.checked("custom_claims", request.customClaims ?? {}, problemOfClaims),
    lifetime: fields.duration("lifetime", request.lifetime, durationBounds),
    idleTimeout: fields.duration("idle_timeout", request.idleTimeout, durationBounds),
    requestId: fields.optional(request.requestId, (id) =>
      fields.parsed("request_id", id, parseRequestId, "must have 1 to 128 visible ASCII characters"),
    ),
  }));
}

const addressForm = `must be an IPv4 or IPv6 address of at most ${loginBounds.ipAddress} characters`;

function readRoles(fields: FieldChecker, roles: readonly string[]): readonly string[] {
  const { roles: max, role: maxLength, rolesBytes } = loginBounds;
  if (Buffer.byteLength(JSON.stringify(roles)) > rolesBytes) {
    return fields.violation("roles", `must have at most ${rolesBytes} bytes as JSON`);
  }
  return fields.list("roles", roles, max, (field, role) => fields.text(field, role, maxLength, 1));
}

function readFactor(fields: FieldChecker, field: string, factor: AuthenticationFactor) {
  return {
    method: fields.text(`${field}.method`, factor.method, loginBounds.method, 1),
    deliveryMethod: fields.text(
      `${field}.delivery_method`,
      factor.deliveryMethod,
      loginBounds.deliveryMethod,
    ),
    assuranceLevel: fields.text(
      `${field}.assurance_level`,
      factor.assuranceLevel,
      loginBounds.assuranceLevel,
    ),
    authenticateTime: fields.time(`${field}.authenticate_time`, factor.authenticateTime),
  };
}

export function readAuthenticate({ credential }: AuthenticateRequest): SessionCredential {
  return readFields((fields): SessionCredential => {
    switch (credential.case) {
      case "token":
        return { token: fields.text("token", credential.value, maxTokenLength, 1) };
      case "jwt":
        return { jwt: fields.text("jwt", credential.value, maxJwtLength, 1) };
      case undefined:
        return fields.violation("credential", "give exactly one of token and jwt");
    }
  });
}

export function readList(request: ListRequest): ListSessions {
  return readFields((fields) => ({
    memberId: fields.optional(request.memberId, (id) => fields.memberId("member_id", id)),
    organizationId: fields.optional(request.organizationId, (id) =>
      fields.organizationId("organization_id", id),
    ),
    state:
      request.state === SessionState.UNSPECIFIED
        ? undefined
        : fields.parsed("state", request.state, parseState, "must be a SessionState"),
    pageSize: request.pageSize,
    pageToken: request.pageToken,
  }));
}

export function readRevoke(request: RevokeRequest): { target: RevokeTarget; details: RevocationDetails } {
  return readFields((fields) => ({
    target: readTarget(fields, request.target),
    details: readDetails(fields, request),
  }));
}

function readTarget(fields: FieldChecker, target: RevokeRequest["target"]): RevokeTarget {
  switch (target.case) {
    case "id":
      return { id: fields.sessionId("id", target.value) };
    case "token":
      return { token: fields.text("token", target.value, maxTokenLength, 1) };
    case "jwt":
      return { jwt: fields.text("jwt", target.value, maxJwtLength, 1) };
    case "memberId":
      return { memberId: fields.memberId("member_id", target.value) };
    case undefined:
      return fields.violation("target", "give exactly one of id, token, jwt and member_id");
  }
}

export function readRevokeAll(request: RevokeAllRequest): RevokeAll {
  return readFields((fields) => ({
    ...readDetails(fields, request),
    scope: readScope(fields, request.scope),
    except: fields.optional(request.exceptSessionId, (id) => fields.sessionId("except_session_id", id)),
    validateOnly: request.validateOnly,
  }));
}

function readScope(fields: FieldChecker, scope: RevokeAllRequest["scope"]): RevokeAllScope {
  switch (scope.case) {
    case "self":
    case "project":
      return { scope: scope.case };
    case "memberId":
      return { scope: "member", id: fields.memberId("member_id", scope.value) };
    case "organizationId":
      return { scope: "organization", id: fields.organizationId("organization_id", scope.value) };
    case undefined:
      return fields.violation("scope", "give exactly one of self, member_id, organization_id and project");
  }
}

function readDetails(fields: FieldChecker, request: RevokeRequest | RevokeAllRequest): RevocationDetails {
  return {
    cause: fields.parsed("cause", request.cause, parseCause, "must be a RevocationCause"),
    reason: fields.text("reason", request.reason, maxReasonLength),
    count: request.countRevoked,
  };
}
