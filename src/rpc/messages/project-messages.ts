import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type ProjectSchema,
  SignatureAlgorithm as ProtoAlgorithm,
  Environment as ProtoEnvironment,
  SessionLimitAction as ProtoLimitAction,
  Permission as ProtoPermission,
  JwtProfile as ProtoProfile,
  TokenReuseAction as ProtoReuseAction,
  type ServiceCredentialSchema,
} from "../../../gen/session/v1/project_pb.ts";
import type { Policy, SessionLimitAction, TokenReuseAction } from "../../domain/policy.ts";
import type { Environment, Permission, Project, ShownCredential } from "../../domain/project.ts";
import type { JwtProfile } from "../../jwt/claims.ts";
import { protoAlgorithms } from "./signing-key-messages.ts";

export const protoEnvironments: Record<Environment, ProtoEnvironment> = {
  test: ProtoEnvironment.TEST,
  live: ProtoEnvironment.LIVE,
};
export const protoProfiles: Record<JwtProfile, ProtoProfile> = {
  default: ProtoProfile.DEFAULT,
  stytch: ProtoProfile.STYTCH,
};
export const protoLimitActions: Record<SessionLimitAction, ProtoLimitAction> = {
  refuse: ProtoLimitAction.REFUSE,
  end_oldest: ProtoLimitAction.END_OLDEST,
};
export const protoReuseActions: Record<TokenReuseAction, ProtoReuseAction> = {
  refuse: ProtoReuseAction.REFUSE,
  revoke: ProtoReuseAction.REVOKE,
};

/** The permissions by their short names. */
export const protoPermissions: Record<Permission, ProtoPermission> = {
  "sessions.create": ProtoPermission.SESSIONS_CREATE,
  "sessions.read": ProtoPermission.SESSIONS_READ,
  "sessions.authenticate": ProtoPermission.SESSIONS_AUTHENTICATE,
  "sessions.revoke": ProtoPermission.SESSIONS_REVOKE,
  "sessions.revoke_all": ProtoPermission.SESSIONS_REVOKE_ALL,
  "revocations.watch": ProtoPermission.REVOCATIONS_WATCH,
  "projects.admin": ProtoPermission.PROJECTS_ADMIN,
};

/** Message of a project. */
export function toProjectMessage(project: Project): MessageInitShape<typeof ProjectSchema> {
  return {
    id: project.id,
    displayName: project.displayName,
    environment: protoEnvironments[project.environment],
    policy: toPolicyMessage(project.policy),
    createTime: timestampFromDate(project.createTime),
    ...(project.disableTime && { disableTime: timestampFromDate(project.disableTime) }),
  };
}

function toPolicyMessage(policy: Policy) {
  return {
    defaultLifetime: durationFromMs(policy.defaultLifetime),
    maxLifetime: durationFromMs(policy.maxLifetime),
    ...(policy.defaultIdleTimeout !== undefined && {
      defaultIdleTimeout: durationFromMs(policy.defaultIdleTimeout),
    }),
    jwtLifetime: durationFromMs(policy.jwtLifetime),
    roleGrants: policy.roleGrants.map(({ role, permissions }) => ({
      role,
      permissions: permissions.map((one) => protoPermissions[one]),
    })),
    jwtProfile: protoProfiles[policy.jwtProfile],
    signatureAlgorithm:
      policy.signatureAlgorithm === undefined
        ? ProtoAlgorithm.UNSPECIFIED
        : protoAlgorithms[policy.signatureAlgorithm],
    maxSessionsPerMember: policy.maxSessionsPerMember ?? 0,
    sessionLimitAction: protoLimitActions[policy.sessionLimitAction],
    tokenReuseAction: protoReuseActions[policy.tokenReuseAction],
    tokenReuseLeeway: durationFromMs(policy.tokenReuseLeeway),
  };
}

/** Message of a credential, without its secret. */
export function toCredentialMessage(
  credential: ShownCredential,
): MessageInitShape<typeof ServiceCredentialSchema> {
  return {
    id: credential.id,
    projectId: credential.projectId,
    displayName: credential.displayName,
    permissions: credential.permissions.map((one) => protoPermissions[one]),
    certificateNames: [...credential.certificateNames],
    createTime: timestampFromDate(credential.createTime),
    ...(credential.disableTime && { disableTime: timestampFromDate(credential.disableTime) }),
  };
}
