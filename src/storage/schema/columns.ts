import { type RawBuilder, sql } from "kysely";
import type {
  ProjectsTable,
  RevocationsTable,
  ServiceCredentialsTable,
  SessionsTable,
  SigningKeysTable,
} from "./tables.ts";

// Statements name their columns and never use `*`: a prepared statement fails if its result gets other columns, and a newer
// release may add columns while this one runs.

export const projectColumns = [
  "id",
  "tag",
  "display_name",
  "environment",
  "policy",
  "create_time",
  "disable_time",
] as const satisfies readonly (keyof ProjectsTable)[];

/** Without the hash of the secret. */
export const credentialColumns = [
  "project_id",
  "id",
  "display_name",
  "permissions",
  "certificate_names",
  "create_time",
  "disable_time",
] as const satisfies readonly (keyof ServiceCredentialsTable)[];

export const signingKeyColumns = [
  "project_id",
  "kid",
  "algorithm",
  "public_jwk",
  "sealed_private_key",
  "master_key_id",
  "create_time",
  "activate_time",
  "retire_time",
  "revoke_time",
  "revoke_revision",
] as const satisfies readonly (keyof SigningKeysTable)[];

/** Columns that determine the state of a session. */
export const livenessColumns = [
  "created_revision",
  "revoked_revision",
  "last_access_time",
  "expire_time",
  "idle_timeout_ms",
] as const satisfies readonly (keyof SessionsTable)[];

/** Columns that cutoffs refer to. */
export const identityColumns = [
  "project_id",
  "id",
  "member_id",
  "organization_id",
] as const satisfies readonly (keyof SessionsTable)[];

export const sessionColumns = [
  ...identityColumns,
  ...livenessColumns,
  "create_time",
  "user_agent",
  "ip_address",
  "authentication_factors",
  "roles",
  "custom_claims",
] as const satisfies readonly (keyof SessionsTable)[];

/** Columns that explain why a session is revoked. */
export const revocationColumns = [
  "revision",
  "scope",
  "revoke_time",
  "cause",
  "reason",
  "actor",
  "acting_user",
] as const satisfies readonly (keyof RevocationsTable)[];

export const watchedColumns = [
  "revision",
  "id",
  "scope",
  "target_id",
  "except_session_id",
  "revoke_time",
  "cause",
  "matter_until_time",
] as const satisfies readonly (keyof RevocationsTable)[];

export const recordedColumns = [
  ...watchedColumns,
  "actor",
  "acting_user",
  "reason",
  "member_id",
  "organization_id",
] as const satisfies readonly (keyof RevocationsTable)[];

/** The columns, qualified with the alias `name`, for the select list of a statement. */
export function columnsOf(name: string, columns: readonly string[]): RawBuilder<unknown> {
  return sql.raw(columns.map((column) => `${name}.${column}`).join(", "));
}
