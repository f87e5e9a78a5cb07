import type { CertificateName } from "./certificate-name.ts";
import type { CredentialId, ProjectId } from "./ids.ts";
import type { Policy } from "./policy.ts";
import type { ProjectTag, SecretHash } from "./token.ts";

/** What a project is for. */
export type Environment = "test" | "live";

/** A tenant. */
export interface Project {
  readonly id: ProjectId;
  readonly tag: ProjectTag;
  readonly displayName: string;
  readonly environment: Environment;
  readonly policy: Policy;
  readonly createTime: Date;
  /** Since when its credentials, tokens and JWTs are refused. */
  readonly disableTime: Date | undefined;
}

/**
 * What a service credential may do. The first five reach its own project; `projects.admin` is the operator's and reaches
 * every project of the deployment.
 */
export const permissions = [
  "sessions.create",
  "sessions.read",
  "sessions.authenticate",
  "sessions.revoke",
  "sessions.revoke_all",
  "projects.admin",
] as const;
/** One of {@link permissions}. */
export type Permission = (typeof permissions)[number];

/** The credential of a service, without its secret. */
export interface ServiceCredential {
  readonly projectId: ProjectId;
  readonly id: CredentialId;
  readonly displayName: string;
  readonly permissions: readonly Permission[];
  readonly createTime: Date;
  readonly disableTime: Date | undefined;
}

/** A service credential as operators see it. */
export interface ShownCredential extends ServiceCredential {
  /** Names in client certificates that are as good as its secret. */
  readonly certificateNames: readonly CertificateName[];
}

/** A service credential to be stored. */
export interface NewServiceCredential extends Omit<ShownCredential, "disableTime"> {
  readonly secretHash: SecretHash;
}
