import { type DescMessage, type MessageShape, create, isFieldSet } from "@bufbuild/protobuf";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import {
  PolicySchema,
  ProjectSchema,
  Environment as ProtoEnvironment,
} from "../../../gen/session/v1/project_pb.ts";
import type {
  CreateProjectRequest,
  CreateServiceCredentialRequest,
  DisableProjectRequest,
  RevokeSigningKeyRequest,
  UpdatePolicyRequest,
  UpdateProjectRequest,
} from "../../../gen/session/v1/project_service_pb.ts";
import {
  type CertificateName,
  maxCertificateNames,
  parseCertificateName,
} from "../../domain/certificate-name.ts";
import type { ProjectId } from "../../domain/ids.ts";
import { type PolicyChange, changePolicy, defaultPolicy } from "../../domain/policy.ts";
import { type Environment, maxDisplayNameLength, permissions } from "../../domain/project.ts";
import { maxReasonLength } from "../../domain/revocation.ts";
import { maxKidLength } from "../../jwt/statement.ts";
import type { CreateCredential, CreateProject, DisableProject } from "../../domain/use-cases/projects.ts";
import type { RevokeSigningKey } from "../../domain/use-cases/signing-keys.ts";
import { type FieldChecker, namesOf, readFields } from "./fields.ts";
import { protoEnvironments } from "./project-messages.ts";
import { namesOfPermissions, policyFieldNames, readPermissions, readPolicy } from "./policy-requests.ts";
import { parseCause } from "./session-messages.ts";

const environments = namesOf(protoEnvironments);

export function readCreateProject(request: CreateProjectRequest): CreateProject {
  return readFields((fields) => ({
    id: fields.projectId("id", request.id),
    displayName: fields.text("display_name", request.displayName, maxDisplayNameLength),
    environment: readEnvironment(fields, "environment", request.environment || ProtoEnvironment.TEST),
    policy: changePolicy(defaultPolicy, readPolicy(fields, request.policy ?? create(PolicySchema))),
  }));
}

/** What UpdateProject changes, and the environment, which must be that of the project if it is given. */
export interface UpdateProject {
  readonly id: ProjectId;
  readonly change: { readonly displayName?: string; readonly environment?: Environment };
}

export function readUpdateProject({ project, updateMask }: UpdateProjectRequest): UpdateProject {
  return readFields((fields) => {
    if (project === undefined) return fields.violation("project", "must name the project by its id");
    const { displayName, environment } = project;
    const set = setFields(ProjectSchema, project);
    const named = readMask(fields, updateMask, projectMask);
    const names = named === "all" ? ["display_name", ...set] : (named ?? set);
    return {
      id: fields.projectId("project.id", project.id),
      change: {
        ...(names.includes("display_name") && {
          displayName: fields.text("project.display_name", displayName, maxDisplayNameLength),
        }),
        ...(names.includes("environment") && {
          environment: readEnvironment(fields, "project.environment", environment),
        }),
      },
    };
  });
}

export function readUpdatePolicy(request: UpdatePolicyRequest): {
  projectId: ProjectId;
  change: PolicyChange;
} {
  const { projectId, policy = create(PolicySchema), updateMask } = request;
  return readFields((fields) => {
    const named = readMask(fields, updateMask, policyMask);
    const names = named === "all" ? policyFieldNames : (named ?? setFields(PolicySchema, policy));
    return {
      projectId: fields.projectId("project_id", projectId),
      change: readPolicy(fields, policy, names),
    };
  });
}

interface MaskRule {
  readonly accepted: readonly string[];
  /** What is accepted, as text. */
  readonly description: string;
}

/** Accepts the fields that the server sets and the immutable ones too (AIP-161, AIP-203). */
const projectMask: MaskRule = {
  accepted: ProjectSchema.fields.map(({ name }) => name).filter((name) => name !== "policy"),
  description: "must name only display_name, or be *; the policy is changed by UpdatePolicy",
};

const policyMask: MaskRule = {
  accepted: policyFieldNames,
  description: `must name only ${policyFieldNames.join(", ")}, or be *`,
};

/** The fields that a mask names; undefined if it is absent or empty. One violation, however long the mask is. */
function readMask(
  fields: FieldChecker,
  mask: FieldMask | undefined,
  { accepted, description }: MaskRule,
): "all" | readonly string[] | undefined {
  const paths = mask?.paths ?? [];
  if (paths.length === 0) return undefined;
  if (paths.length === 1 && paths[0] === "*") return "all";
  if (paths.every((path) => accepted.includes(path))) return paths;
  return fields.violation("update_mask", description);
}

function setFields<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): readonly string[] {
  return desc.fields.filter((field) => isFieldSet(message, field)).map(({ name }) => name);
}

export function readCreateCredential(request: CreateServiceCredentialRequest): CreateCredential {
  return readFields((fields) => ({
    projectId: fields.projectId("project_id", request.projectId),
    displayName: fields.text("display_name", request.displayName, maxDisplayNameLength),
    permissions:
      request.permissions.length === 0
        ? fields.violation("permissions", `must have at least one of ${namesOfPermissions(permissions)}`)
        : readPermissions(fields, "permissions", request.permissions, permissions),
    certificateNames: readCertificateNames(fields, request.certificateNames),
  }));
}

export function readDisableProject(request: DisableProjectRequest): DisableProject {
  return readFields((fields) => ({
    id: fields.projectId("id", request.id),
    cause: fields.parsed("cause", request.cause, parseCause, "must be a RevocationCause"),
    reason: fields.text("reason", request.reason, maxReasonLength),
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

function readCertificateNames(fields: FieldChecker, names: readonly string[]): readonly CertificateName[] {
  const form = "must be a SPIFFE ID with a path, or a DNS name in lower case";
  const read = fields.list("certificate_names", names, maxCertificateNames.ofCredential, (field, name) =>
    fields.parsed(field, name, parseCertificateName, form),
  );
  return [...new Set(read)];
}

/** Reads an environment. UNSPECIFIED is refused. */
function readEnvironment(fields: FieldChecker, field: string, value: ProtoEnvironment): Environment {
  return fields.parsed(field, value, (number) => environments.get(number), "must be an Environment");
}
