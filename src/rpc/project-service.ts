import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  Environment,
  JwtProfile,
  type ProjectSchema,
  type ServiceCredentialSchema,
  SessionLimitAction,
  SignatureAlgorithm,
  TokenReuseAction,
} from "../../gen/session/v1/project_pb.ts";
import type { ProjectService } from "../../gen/session/v1/project_service_pb.ts";
import type { ServiceAccess } from "../auth/access.ts";
import { jwksCacheControl } from "../domain/keys/key-schedule.ts";
import type { Policy } from "../domain/policy.ts";
import type { Project, ShownCredential } from "../domain/project.ts";
import type { ProjectDependencies, SigningKeyDependencies } from "../domain/use-cases/dependencies.ts";
import {
  createCredential,
  createProject,
  disableCredential,
  disableProject,
  getProject,
  listCredentials,
  listProjects,
  updatePolicy,
} from "../domain/use-cases/projects.ts";
import {
  getJwks,
  listSigningKeys,
  revokeSigningKey,
  rotateSigningKey,
} from "../domain/use-cases/signing-keys.ts";
import { callContextOf } from "./call-record.ts";
import { readFields } from "./messages/fields.ts";
import { serviceCallerOf } from "./gate.ts";
import {
  readCreateCredential,
  readCreateProject,
  readRevokeSigningKey,
  readUpdatePolicy,
} from "./messages/project-requests.ts";
import { protoAlgorithms, toJwkMessage, toSigningKeyMessage } from "./messages/signing-key-messages.ts";

/** Who may call ProjectService. */
export const projectServiceAccess: ServiceAccess<typeof ProjectService> = {
  createProject: { service: "projects.admin" },
  getProject: { service: "projects.admin" },
  listProjects: { service: "projects.admin" },
  updatePolicy: { service: "projects.admin" },
  disableProject: { service: "projects.admin" },
  createServiceCredential: { service: "projects.admin" },
  listServiceCredentials: { service: "projects.admin" },
  disableServiceCredential: { service: "projects.admin" },
  listSigningKeys: { service: "projects.admin" },
  rotateSigningKey: { service: "projects.admin" },
  revokeSigningKey: { service: "projects.admin" },
  getJwks: "public",
};

/** ProjectService on the use cases. */
export function projectService(
  deps: ProjectDependencies & SigningKeyDependencies,
): ServiceImpl<typeof ProjectService> {
  return {
    async createProject(request, context) {
      return {
        project: toProjectMessage(
          await createProject(deps, readCreateProject(request), callContextOf(context)),
        ),
      };
    },
    async getProject(request, context) {
      const id = readFields((fields) => fields.projectId("id", request.id));
      return { project: toProjectMessage(await getProject(deps, id, callContextOf(context))) };
    },
    async listProjects({ pageSize, pageToken }, context) {
      const page = await listProjects(deps, pageSize, pageToken, callContextOf(context));
      return { projects: page.projects.map(toProjectMessage), nextPageToken: page.nextPageToken };
    },
    async updatePolicy(request, context) {
      const { projectId, policy } = readUpdatePolicy(request);
      return {
        project: toProjectMessage(await updatePolicy(deps, projectId, policy, callContextOf(context))),
      };
    },
    async disableProject(request, context) {
      const id = readFields((fields) => fields.projectId("id", request.id));
      return { project: toProjectMessage(await disableProject(deps, id, callContextOf(context))) };
    },
    async createServiceCredential(request, context) {
      const { credential, secret } = await createCredential(
        deps,
        readCreateCredential(request),
        callContextOf(context),
      );
      return { credential: toCredentialMessage(credential), secret };
    },
    async listServiceCredentials(request, context) {
      const projectId = readFields((fields) => fields.projectId("project_id", request.projectId));
      const page = await listCredentials(
        deps,
        projectId,
        request.pageSize,
        request.pageToken,
        callContextOf(context),
      );
      return { credentials: page.credentials.map(toCredentialMessage), nextPageToken: page.nextPageToken };
    },
    async disableServiceCredential(request, context) {
      const { projectId, id } = readFields((fields) => ({
        projectId: fields.projectId("project_id", request.projectId),
        id: fields.credentialId("id", request.id),
      }));
      return {
        credential: toCredentialMessage(await disableCredential(deps, projectId, id, callContextOf(context))),
      };
    },
    async listSigningKeys(request, context) {
      const projectId = readFields((fields) => fields.projectId("project_id", request.projectId));
      const keys = await listSigningKeys(deps, projectId, callContextOf(context));
      return { signingKeys: keys.map((key) => toSigningKeyMessage(key, deps.now())) };
    },
    async rotateSigningKey(request, context) {
      const projectId = readFields((fields) => fields.projectId("project_id", request.projectId));
      return {
        signingKey: toSigningKeyMessage(
          await rotateSigningKey(deps, projectId, callContextOf(context)),
          deps.now(),
        ),
      };
    },
    async revokeSigningKey(request, context) {
      const command = readRevokeSigningKey(request);
      const key = await revokeSigningKey(deps, serviceCallerOf(context), command, callContextOf(context));
      return { signingKey: toSigningKeyMessage(key, deps.now()) };
    },
    async getJwks(request, context) {
      const projectId = readFields((fields) => fields.projectId("project_id", request.projectId));
      const { keys } = await getJwks(deps, projectId, callContextOf(context));
      context.responseHeader.set("cache-control", jwksCacheControl(deps.keyRing.schedule));
      return { keys: keys.map(toJwkMessage) };
    },
  };
}

function toProjectMessage(project: Project): MessageInitShape<typeof ProjectSchema> {
  return {
    id: project.id,
    displayName: project.displayName,
    environment: project.environment === "live" ? Environment.LIVE : Environment.TEST,
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
    roleGrants: policy.roleGrants.map(({ role, permissions }) => ({ role, permissions: [...permissions] })),
    jwtProfile: policy.jwtProfile === "stytch" ? JwtProfile.STYTCH : JwtProfile.DEFAULT,
    signatureAlgorithm:
      policy.signatureAlgorithm === undefined
        ? SignatureAlgorithm.UNSPECIFIED
        : protoAlgorithms[policy.signatureAlgorithm],
    maxSessionsPerMember: policy.maxSessionsPerMember ?? 0,
    sessionLimitAction:
      policy.sessionLimitAction === "end_oldest" ? SessionLimitAction.END_OLDEST : SessionLimitAction.REFUSE,
    tokenReuseAction:
      policy.tokenReuseAction === "revoke" ? TokenReuseAction.REVOKE : TokenReuseAction.REFUSE,
    tokenReuseLeeway: durationFromMs(policy.tokenReuseLeeway),
  };
}

function toCredentialMessage(credential: ShownCredential): MessageInitShape<typeof ServiceCredentialSchema> {
  return {
    id: credential.id,
    projectId: credential.projectId,
    displayName: credential.displayName,
    permissions: [...credential.permissions],
    certificateNames: [...credential.certificateNames],
    createTime: timestampFromDate(credential.createTime),
    ...(credential.disableTime && { disableTime: timestampFromDate(credential.disableTime) }),
  };
}
