import { type RawBuilder, sql } from "kysely";
import type { BatchQuery } from "../connection/statement-runner.ts";
import type { AuthenticationFactor, Session } from "../../domain/sessions/session.ts";
import type { NewSession } from "../../domain/store/session-store.ts";
import type { SecretHash } from "../../domain/token.ts";
import type { Db, FactorJson } from "../schema/tables.ts";

/** A session to store, with its token. */
export interface Creation {
  readonly session: NewSession;
  readonly tokenHash: SecretHash;
}

/**
 * Stores sessions of any projects and their tokens with one statement. The created revision is the project's, as of the
 * statement's snapshot: a cutoff that commits later has a greater one, and ends a login in flight. Undefined if there is no
 * such project or it is disabled. By the primary keys of project_revisions and projects.
 */
export const createSessions: BatchQuery<Creation, Session | undefined> = (db, creations) =>
  createClaimed(db, creations, undefined);

/** Like {@link createSessions}, but stores only sessions whose id the statement `claims` returns, if there is one. */
export async function createClaimed(
  db: Db,
  creations: readonly Creation[],
  claims: RawBuilder<unknown> | undefined,
): Promise<readonly (Session | undefined)[]> {
  const claimed = claims === undefined ? sql`` : sql`claimed as (${claims}), `;
  const onlyClaimed = claims === undefined ? sql`` : sql` join claimed on claimed.session_id = k.id`;
  const { rows } = await sql<{ place: number; revision: number }>`
    with ${claimed}wanted as (
      select k.place, r.revision, k.project_id, k.id, k.member_id, k.organization_id, k.create_time, k.last_access_time,
        k.expire_time, k.idle_timeout_ms, k.user_agent, k.ip_address, k.authentication_factors, k.roles, k.custom_claims,
        k.token_hash
      from json_to_recordset(${JSON.stringify(creations.map(toJson))}::json) as k (
        place int, project_id text, id uuid, member_id text, organization_id text, create_time timestamptz,
        last_access_time timestamptz, expire_time timestamptz, idle_timeout_ms bigint, user_agent text, ip_address text,
        authentication_factors jsonb, roles text[], custom_claims jsonb, token_hash bytea)${onlyClaimed}
      cross join lateral (select revision from project_revisions where project_id = k.project_id offset 0) r
      cross join lateral (select from projects where id = k.project_id and disable_time is null offset 0) enabled
    ), sessions as (
      insert into sessions (project_id, id, member_id, organization_id, created_revision, create_time, last_access_time,
        expire_time, idle_timeout_ms, user_agent, ip_address, authentication_factors, roles, custom_claims)
      select project_id, id, member_id, organization_id, revision, create_time, last_access_time,
        expire_time, idle_timeout_ms, user_agent, ip_address, authentication_factors, roles, custom_claims
      from wanted
    ), tokens as (
      insert into session_tokens (project_id, hash, session_id, create_time)
      select project_id, token_hash, id, create_time from wanted
    )
    select place, revision from wanted`.execute(db);
  const stored = Array.from<Session | undefined>({ length: creations.length });
  for (const { place, revision } of rows) {
    const creation = creations[place];
    if (creation !== undefined) {
      stored[place] = { ...creation.session, createdRevision: revision, revocation: undefined };
    }
  }
  return stored;
}

function toJson({ session, tokenHash }: Creation, place: number) {
  return {
    place,
    project_id: session.projectId,
    id: session.id,
    member_id: session.memberId,
    organization_id: session.organizationId,
    create_time: session.createTime,
    last_access_time: session.lastAccessTime,
    expire_time: session.expireTime,
    idle_timeout_ms: session.idleTimeout,
    user_agent: session.device.userAgent,
    ip_address: session.device.ipAddress,
    authentication_factors: session.authenticationFactors.map(toFactorJson),
    roles: session.roles,
    custom_claims: session.customClaims,
    token_hash: `\\x${tokenHash.toString("hex")}`,
  };
}

function toFactorJson(factor: AuthenticationFactor): FactorJson {
  return {
    method: factor.method,
    delivery_method: factor.deliveryMethod,
    assurance_level: factor.assuranceLevel,
    authenticate_time: factor.authenticateTime.toISOString(),
  };
}
