import type { CertificateName } from "./certificate-name.ts";
import type { CredentialId, ProjectId } from "./ids.ts";
import type { Policy } from "./policy.ts";
import type { ProjectTag, SecretHash } from "./token.ts";

/** Longest display name of a project or credential, in Unicode code points. */
export const maxDisplayNameLength = 255;

export type Environment = "test" | "live";

export interface Project {
  readonly id: ProjectId;
  readonly tag: ProjectTag;
  readonly displayName: string;
  readonly environment: Environment;
  readonly policy: Policy;
  readonly createTime: Date;
  /** Its credentials, tokens and JWTs are refused since then. */
  readonly disableTime: Date | undefined;
}

/** Permissions of service credentials. `projects.admin` covers all projects, the others only the credential's own. */
export const permissions = [
  "sessions.create",
  "sessions.read",
  "sessions.authenticate",
  "sessions.revoke",
  "sessions.revoke_all",
  "revocations.watch",
  "projects.admin",
] as const;
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
  /** Names in client certificates that authenticate like the secret. */
  readonly certificateNames: readonly CertificateName[];
}

export interface NewServiceCredential extends Omit<ShownCredential, "disableTime"> {
  readonly secretHash: SecretHash;
}
