import type { ServiceImpl } from "@connectrpc/connect";
import type { ProjectService } from "../../gen/session/v1/project_service_pb.ts";
import type { ServiceAccess } from "../auth/access.ts";
import { jwksCacheControl } from "../domain/keys/key-schedule.ts";
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
  updateProject,
} from "../domain/use-cases/projects.ts";
import {
  getJwks,
  listSigningKeys,
  revokeSigningKey,
  rotateSigningKey,
} from "../domain/use-cases/signing-keys.ts";
import { callContextOf } from "./call-record.ts";
import { readFields, readProjectId } from "./messages/fields.ts";
import { toCredentialMessage, toProjectMessage } from "./messages/project-messages.ts";
import { serviceCallerOf } from "./gate.ts";
import {
  readCreateCredential,
  readCreateProject,
  readDisableProject,
  readRevokeSigningKey,
  readUpdatePolicy,
  readUpdateProject,
} from "./messages/project-requests.ts";
import { toJwkMessage, toSigningKeyMessage } from "./messages/signing-key-messages.ts";

/** Who may call ProjectService. */
export const projectServiceAccess: ServiceAccess<typeof ProjectService> = {
  createProject: { service: "projects.admin" },
  getProject: { service: "projects.admin" },
  listProjects: { service: "projects.admin" },
  updateProject: { service: "projects.admin" },
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
      const project = await createProject(deps, readCreateProject(request), callContextOf(context));
      return { project: toProjectMessage(project) };
    },
    async getProject(request, context) {
      const project = await getProject(deps, readProjectId("id", request.id), callContextOf(context));
      return { project: toProjectMessage(project) };
    },
    async listProjects({ pageSize, pageToken }, context) {
      const page = await listProjects(deps, pageSize, pageToken, callContextOf(context));
      return { projects: page.projects.map(toProjectMessage), nextPageToken: page.nextPageToken };
    },
    async updateProject(request, context) {
      const { id, change } = readUpdateProject(request);
      const project = await updateProject(deps, id, change, callContextOf(context));
      return { project: toProjectMessage(project) };
    },
    async updatePolicy(request, context) {
      const { projectId, change } = readUpdatePolicy(request);
      const project = await updatePolicy(deps, projectId, change, callContextOf(context));
      return { project: toProjectMessage(project) };
    },
    async disableProject(request, context) {
      const command = readDisableProject(request);
      const project = await disableProject(deps, serviceCallerOf(context), command, callContextOf(context));
      return { project: toProjectMessage(project) };
    },
    async createServiceCredential(request, context) {
      const command = readCreateCredential(request);
      const { credential, secret } = await createCredential(deps, command, callContextOf(context));
      return { credential: toCredentialMessage(credential), secret };
    },
    async listServiceCredentials({ pageSize, pageToken, ...request }, context) {
      const projectId = readProjectId("project_id", request.projectId);
      const call = callContextOf(context);
      const page = await listCredentials(deps, projectId, pageSize, pageToken, call);
      return { credentials: page.credentials.map(toCredentialMessage), nextPageToken: page.nextPageToken };
    },
    async disableServiceCredential(request, context) {
      const { projectId, id } = readFields((fields) => ({
        projectId: fields.projectId("project_id", request.projectId),
        id: fields.credentialId("id", request.id),
      }));
      const credential = await disableCredential(deps, projectId, id, callContextOf(context));
      return { credential: toCredentialMessage(credential) };
    },
    async listSigningKeys({ pageSize, pageToken, ...request }, context) {
      const projectId = readProjectId("project_id", request.projectId);
      const call = callContextOf(context);
      const page = await listSigningKeys(deps, projectId, pageSize, pageToken, call);
      const signingKeys = page.keys.map((key) => toSigningKeyMessage(key, deps.now()));
      return { signingKeys, nextPageToken: page.nextPageToken };
    },
    async rotateSigningKey(request, context) {
      const projectId = readProjectId("project_id", request.projectId);
      const key = await rotateSigningKey(deps, projectId, callContextOf(context));
      return { signingKey: toSigningKeyMessage(key, deps.now()) };
    },
    async revokeSigningKey(request, context) {
      const command = readRevokeSigningKey(request);
      const key = await revokeSigningKey(deps, serviceCallerOf(context), command, callContextOf(context));
      return { signingKey: toSigningKeyMessage(key, deps.now()) };
    },
    async getJwks(request, context) {
      const projectId = readProjectId("project_id", request.projectId);
      const { keys } = await getJwks(deps, projectId, callContextOf(context));
      context.responseHeader.set("cache-control", jwksCacheControl(deps.keyRing.schedule));
      return { keys: keys.map(toJwkMessage) };
    },
  };
}
