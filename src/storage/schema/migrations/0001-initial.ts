import { type SchemaMigration, inOrder } from "./schema-migration.ts";

/**
 * The first schema. Every key begins with the project, so that a distributed engine can shard by it. The hot tables have no
 * foreign keys: the statements that write them read the parent row, and each check would cost a look-up.
 */
export const initial: SchemaMigration = {
  up: inOrder([
    `create table projects (
      id text primary key,
      tag text not null unique, -- names the project inside its session tokens
      display_name text not null,
      environment text not null check (environment in ('test', 'live')),
      policy jsonb not null,
      create_time timestamptz not null,
      disable_time timestamptz
    )`,

    // The logical clock of each project. Its row lock orders the project's revocations.
    `create table project_revisions (
      project_id text primary key references projects (id),
      revision bigint not null
    )`,

    `create table service_credentials (
      project_id text not null references projects (id),
      id uuid not null,
      display_name text not null,
      secret_hash bytea not null, -- SHA-256
      permissions text[] not null,
      create_time timestamptz not null,
      disable_time timestamptz,
      primary key (project_id, id)
    )`,

    `create table signing_keys (
      project_id text not null references projects (id),
      kid text not null, -- RFC 7638 thumbprint
      algorithm text not null,
      state text not null check (state in ('active')),
      public_jwk jsonb not null,
      sealed_private_key bytea not null, -- AES-256-GCM
      master_key_id text not null,
      create_time timestamptz not null,
      primary key (project_id, kid)
    )`,
    // One key signs at a time: decides between replicas that create the first one concurrently.
    `create unique index signing_keys_active on signing_keys (project_id) where state = 'active'`,

    `create table sessions (
      project_id text not null,
      id uuid not null, -- UUIDv7: sorts by time of creation
      member_id text not null,
      organization_id text,
      created_revision bigint not null,
      revoked_revision bigint, -- the revocation that named this session; a cutoff leaves no mark here
      create_time timestamptz not null,
      last_access_time timestamptz not null,
      expire_time timestamptz not null,
      idle_timeout_ms bigint,
      user_agent text not null,
      ip_address text not null,
      authentication_factors jsonb not null,
      roles text[] not null,
      custom_claims jsonb not null,
      primary key (project_id, id)
    )`,
    // List and count by member; whether a member belongs to an organization.
    `create index sessions_by_member on sessions (project_id, member_id, id desc)`,
    // List and count by organization.
    `create index sessions_by_organization on sessions (project_id, organization_id, id desc)
      where organization_id is not null`,

    `create table session_tokens (
      project_id text not null,
      hash bytea not null, -- SHA-256
      session_id uuid not null,
      create_time timestamptz not null,
      replace_time timestamptz, -- when a newer token replaced it
      primary key (project_id, hash)
    )`,

    // Sessions of the target that were created before the revision are revoked.
    `create table cutoffs (
      project_id text not null,
      scope text not null check (scope in ('member', 'organization', 'project')),
      target_id text not null,
      revision bigint not null,
      primary key (project_id, scope, target_id)
    )`,

    // The log of revocations. Append-only.
    `create table revocations (
      project_id text not null,
      revision bigint not null,
      scope text not null check (scope in ('session', 'member', 'organization', 'project')),
      target_id text not null,
      except_session_id uuid,
      revoke_time timestamptz not null,
      cause text not null,
      reason text not null,
      actor text not null,
      primary key (project_id, revision)
    )`,
    // Finds the first revocation of a session.
    `create index revocations_by_target on revocations (project_id, scope, target_id, revision)`,
  ]),
};
