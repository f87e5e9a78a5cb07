import type { JsonObject } from "@bufbuild/protobuf";
import type { JWK } from "jose";
import type { ColumnType, JSONColumnType, Kysely } from "kysely";
import type { CertificateName } from "../../domain/certificate-name.ts";
import type { Policy } from "../../domain/policy.ts";
import type { Environment, Permission } from "../../domain/project.ts";
import type { Cause, CutoffTarget, Scope } from "../../domain/revocation.ts";
import type { SignatureAlgorithm } from "../../jwt/signature.ts";

/** The database, or a transaction in it. */
export type Db = Kysely<Tables>;

/** The tables after the newest migration. The migrations document them. */
export interface Tables {
  projects: ProjectsTable;
  project_revisions: ProjectRevisionsTable;
  service_credentials: ServiceCredentialsTable;
  certificate_names: { name: string; project_id: string; credential_id: string };
  signing_keys: SigningKeysTable;
  sessions: SessionsTable;
  session_tokens: SessionTokensTable;
  creation_requests: CreationRequestsTable;
  cutoffs: { project_id: string; scope: CutoffTarget["scope"]; target_id: string; revision: number };
  revocations: RevocationsTable;
  leases: { name: string; holder: string | null; until_time: Date; finish_time: Date };
  replicas: ReplicasTable;
  recoveries: { id: string; keep_sessions: boolean; start_time: Date; finish_time: Date | null };
  project_recoveries: { project_id: string; recovery_id: string; revision: number; recover_time: Date };
}

export interface ProjectsTable {
  id: string;
  tag: string;
  display_name: string;
  environment: Environment;
  policy: JSONColumnType<Partial<Policy>>;
  create_time: Date;
  disable_time: Date | null;
}

export interface ProjectRevisionsTable {
  project_id: string;
  revision: number;
  revision_id: string;
  start_revision: number;
  start_id: string;
  longest_jwt_lifetime_ms: number;
}

export interface ServiceCredentialsTable {
  project_id: string;
  id: string;
  display_name: string;
  secret_hash: Buffer;
  permissions: Permission[];
  certificate_names: CertificateName[];
  create_time: Date;
  disable_time: Date | null;
}

export interface SigningKeysTable {
  project_id: string;
  kid: string;
  algorithm: SignatureAlgorithm;
  public_jwk: JSONColumnType<JWK & object>;
  sealed_private_key: Buffer;
  master_key_id: string;
  create_time: Date;
  activate_time: Date;
  retire_time: Date | null;
  revoke_time: Date | null;
  revoke_revision: number | null;
}

export interface ReplicasTable {
  id: string;
  name: string;
  timeline: number | null;
  leased: boolean;
  start_time: Date;
  renew_time: Date;
}

export interface FactorJson {
  readonly method: string;
  readonly delivery_method: string;
  readonly assurance_level: string;
  /** RFC 3339. */
  readonly authenticate_time: string;
}

export interface SessionsTable {
  project_id: string;
  id: string;
  member_id: string;
  organization_id: string | null;
  created_revision: number;
  revoked_revision: number | null;
  create_time: Date;
  last_access_time: Date;
  expire_time: Date;
  idle_timeout_ms: number | null;
  user_agent: string;
  ip_address: string;
  authentication_factors: ColumnType<readonly FactorJson[], string, string>;
  roles: string[];
  custom_claims: ColumnType<JsonObject, string, string>;
}

export interface SessionTokensTable {
  project_id: string;
  hash: Buffer;
  session_id: string;
  create_time: Date;
  replace_time: Date | null;
  successor_salt: Buffer | null;
}

export interface CreationRequestsTable {
  project_id: string;
  request_id: string;
  fingerprint: Buffer;
  session_id: string;
  sealed_token: Buffer;
  master_key_id: string;
  create_time: Date;
}

export interface RevocationsTable {
  project_id: string;
  revision: number;
  id: string;
  scope: Scope;
  target_id: string;
  except_session_id: string | null;
  revoke_time: Date;
  matter_until_time: Date;
  cause: Cause;
  reason: string;
  actor: string;
  /** Empty if there is none. */
  acting_user: string;
  member_id: string | null;
  organization_id: string | null;
}
