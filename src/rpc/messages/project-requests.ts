import {
  SignatureAlgorithm as ProtoAlgorithm,
  Environment as ProtoEnvironment,
  SessionLimitAction as ProtoLimitAction,
  type Policy as ProtoPolicy,
  JwtProfile as ProtoProfile,
  TokenReuseAction as ProtoReuseAction,
} from "../../../gen/session/v1/project_pb.ts";
import type {
  CreateProjectRequest,
  CreateServiceCredentialRequest,
  RevokeSigningKeyRequest,
  UpdatePolicyRequest,
} from "../../../gen/session/v1/project_service_pb.ts";
import {
  type CertificateName,
  maxCertificateNames,
  parseCertificateName,
} from "../../domain/certificate-name.ts";
import type { ProjectId } from "../../domain/ids.ts";
import {
  type Policy,
  defaultPolicy,
  durationBounds,
  jwtLifetimeBounds,
  maxSessionsBounds,
  memberPermissions,
  roleGrantBounds,
  tokenReuseLeewayBounds,
} from "../../domain/policy.ts";
import { maxDisplayNameLength, permissions } from "../../domain/project.ts";
import { maxReasonLength } from "../../domain/revocation.ts";
import { maxKidLength } from "../../jwt/statement.ts";
import type { CreateCredential, CreateProject } from "../../domain/use-cases/projects.ts";
import type { RevokeSigningKey } from "../../domain/use-cases/signing-keys.ts";
import { type FieldChecker, namesOf, readFields } from "./fields.ts";
import {
  protoEnvironments,
  protoLimitActions,
  protoProfiles,
  protoReuseActions,
} from "./project-messages.ts";
import { parseCause } from "./session-messages.ts";
import { protoAlgorithms } from "./signing-key-messages.ts";

const environments = namesOf(protoEnvironments);
const profiles = namesOf(protoProfiles);
const limitActions = namesOf(protoLimitActions);
const reuseActions = namesOf(protoReuseActions);
const algorithms = namesOf(protoAlgorithms);

export function readCreateProject(request: CreateProjectRequest): CreateProject {
  return readFields((fields) => ({
    id: fields.projectId("id", request.id),
    displayName: fields.text("display_name", request.displayName, maxDisplayNameLength),
    environment: fields.parsed(
      "environment",
      request.environment || ProtoEnvironment.TEST,
      (value) => environments.get(value),
      "must be an Environment",
    ),
    policy: readPolicy(fields, request.policy),
  }));
}

export function readUpdatePolicy(request: UpdatePolicyRequest): { projectId: ProjectId; policy: Policy } {
  return readFields((fields) => ({
    projectId: fields.projectId("project_id", request.projectId),
    policy: readPolicy(fields, request.policy),
  }));
}

export function readCreateCredential(request: CreateServiceCredentialRequest): CreateCredential {
  return readFields((fields) => ({
    projectId: fields.projectId("project_id", request.projectId),
    displayName: fields.text("display_name", request.displayName, maxDisplayNameLength),
    permissions:
      request.permissions.length === 0
        ? fields.violation("permissions", `must have at least one of ${permissions.join(", ")}`)
        : readMembers(fields, "permissions", request.permissions, permissions),
    certificateNames: readCertificateNames(fields, request.certificateNames),
  }));
}

export function readRevokeSigningKey(request: RevokeSigningKeyRequest): RevokeSigningKey {
  return readFields((fields) => ({
    projectId: fields.projectId("project_id", request.projectId),
    kid: fields.text("kid", request.kid, maxKidLength, 1),
    cause: fields.parsed("cause", request.cause, parseCause, "must be a RevocationCause"),
    reason: fields.text("reason", request.reason, maxReasonLength),
  }));
}

function readPolicy(fields: FieldChecker, policy: ProtoPolicy | undefined): Policy {
  const duration = (name: "defaultLifetime" | "maxLifetime" | "defaultIdleTimeout", field: string) =>
    fields.duration(`policy.${field}`, policy?.[name], durationBounds);
  const read = {
    defaultLifetime: duration("defaultLifetime", "default_lifetime"),
    maxLifetime: duration("maxLifetime", "max_lifetime") ?? defaultPolicy.maxLifetime,
    defaultIdleTimeout: duration("defaultIdleTimeout", "default_idle_timeout"),
    jwtLifetime:
      fields.duration("policy.jwt_lifetime", policy?.jwtLifetime, jwtLifetimeBounds) ??
      defaultPolicy.jwtLifetime,
    roleGrants: fields.list(
      "policy.role_grants",
      policy?.roleGrants ?? [],
      roleGrantBounds.grants,
      (field, grant) => ({
        role: fields.text(`${field}.role`, grant.role, roleGrantBounds.role, 1),
        permissions: readMembers(fields, `${field}.permissions`, grant.permissions, memberPermissions),
      }),
    ),
    jwtProfile: fields.parsed(
      "policy.jwt_profile",
      policy?.jwtProfile || ProtoProfile.DEFAULT,
      (value) => profiles.get(value),
      "must be a JwtProfile",
    ),
    signatureAlgorithm:
      policy?.signatureAlgorithm === undefined || policy.signatureAlgorithm === ProtoAlgorithm.UNSPECIFIED
        ? undefined
        : fields.parsed(
            "policy.signature_algorithm",
            policy.signatureAlgorithm,
            (value) => algorithms.get(value),
            "must be a SignatureAlgorithm",
          ),
    maxSessionsPerMember: readMaxSessions(fields, policy?.maxSessionsPerMember ?? 0),
    sessionLimitAction: fields.parsed(
      "policy.session_limit_action",
      policy?.sessionLimitAction || ProtoLimitAction.REFUSE,
      (value) => limitActions.get(value),
      "must be a SessionLimitAction",
    ),
    tokenReuseAction: fields.parsed(
      "policy.token_reuse_action",
      policy?.tokenReuseAction || ProtoReuseAction.REFUSE,
      (value) => reuseActions.get(value),
      "must be a TokenReuseAction",
    ),
    tokenReuseLeeway:
      fields.duration("policy.token_reuse_leeway", policy?.tokenReuseLeeway, tokenReuseLeewayBounds) ??
      defaultPolicy.tokenReuseLeeway,
  };
  if (read.defaultLifetime !== undefined && read.defaultLifetime > read.maxLifetime) {
    fields.violation("policy.default_lifetime", "must not be longer than max_lifetime");
  }
  return {
    ...read,
    defaultLifetime: read.defaultLifetime ?? Math.min(defaultPolicy.defaultLifetime, read.maxLifetime),
  };
}

/** Removes duplicates; all values must be in `allowed`. */
function readMembers<T extends string>(
  fields: FieldChecker,
  field: string,
  values: readonly string[],
  allowed: readonly T[],
): readonly T[] {
  const parse = (value: string) => allowed.find((one) => one === value);
  const description = `must be one of ${allowed.join(", ")}`;
  return fields.list(field, [...new Set(values)], allowed.length, (name, value) =>
    fields.parsed(name, value, parse, description),
  );
}

function readCertificateNames(fields: FieldChecker, names: readonly string[]): readonly CertificateName[] {
  const form = "must be a SPIFFE ID with a path, or a DNS name in lower case";
  const read = fields.list("certificate_names", names, maxCertificateNames.ofCredential, (field, name) =>
    fields.parsed(field, name, parseCertificateName, form),
  );
  return [...new Set(read)];
}

function readMaxSessions(fields: FieldChecker, max: number): number | undefined {
  if (max === 0) return undefined;
  if (max >= maxSessionsBounds.min && max <= maxSessionsBounds.max) return max;
  const description = `must be ${maxSessionsBounds.min} to ${maxSessionsBounds.max}, or 0 for any number`;
  return fields.violation("policy.max_sessions_per_member", description);
}
