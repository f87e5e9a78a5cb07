import { type RawBuilder, sql } from "kysely";
import type {
  ProjectsTable,
  RevocationsTable,
  ServiceCredentialsTable,
  SessionsTable,
  SigningKeysTable,
} from "./tables.ts";

// Statements name what they read, and never say `*`: a prepared statement fails once its result has other columns than it had,
// and a newer release may add some to a table while this one still runs.

/** What a project is made of. */
export const projectColumns = [
  "id",
  "tag",
  "display_name",
  "environment",
  "policy",
  "create_time",
  "disable_time",
] as const satisfies readonly (keyof ProjectsTable)[];

/** What a service credential is made of, but for the hash of its secret. */
export const credentialColumns = [
  "project_id",
  "id",
  "display_name",
  "permissions",
  "certificate_names",
  "create_time",
  "disable_time",
] as const satisfies readonly (keyof ServiceCredentialsTable)[];

/** What a signing key is made of. */
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

/** What tells whether a session is dead, expired or idle. */
export const livenessColumns = [
  "created_revision",
  "revoked_revision",
  "last_access_time",
  "expire_time",
  "idle_timeout_ms",
] as const satisfies readonly (keyof SessionsTable)[];

/** Which session it is, and whose: all that cutoffs go by. */
export const identityColumns = [
  "project_id",
  "id",
  "member_id",
  "organization_id",
] as const satisfies readonly (keyof SessionsTable)[];

/** What a session is made of. */
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

/** What a revocation tells of itself to whoever asks why a session is dead. */
export const revocationColumns = [
  "revision",
  "scope",
  "revoke_time",
  "cause",
  "reason",
  "actor",
] as const satisfies readonly (keyof RevocationsTable)[];

/** What watchers are told of a revocation. */
export const watchedColumns = [
  "revision",
  "scope",
  "target_id",
  "except_session_id",
  "revoke_time",
  "cause",
  "matter_until_time",
] as const satisfies readonly (keyof RevocationsTable)[];

/** All that the log knows of a revocation. */
export const recordedColumns = [
  ...watchedColumns,
  "actor",
  "reason",
] as const satisfies readonly (keyof RevocationsTable)[];

/** The columns of the table or query that a statement calls `name`, for its list of results. */
export function columnsOf(name: string, columns: readonly string[]): RawBuilder<unknown> {
  return sql.raw(columns.map((column) => `${name}.${column}`).join(", "));
}
