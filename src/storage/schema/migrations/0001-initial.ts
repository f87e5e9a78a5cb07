import { type SchemaMigration, inOrder } from "./schema-migration.ts";

/**
 * The first schema. Every key of a table that grows with use begins with the project, so that a distributed engine can shard by
 * it. The hot tables have no foreign keys: the statements that write them read the parent row, and each check would cost a
 * look-up.
 *
 * An update that finds room in the row's page, and changes no indexed column, writes no index (HOT): hence the fill factors.
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

    // The logical clock of each project, and where its log ends and its history starts. The row lock orders the project's
    // revocations. Every revocation updates one row.
    `create table project_revisions (
      project_id text primary key references projects (id),
      revision bigint not null,
      revision_id uuid not null, -- id of the newest row of the log; start_id if the history has no row
      start_revision bigint not null, -- 0, or the revision from which \`sessiond recover\` started a new history
      start_id uuid not null,
      -- The longest lifetime under any policy of the project: JWTs signed under an earlier policy count too. Here and not in
      -- projects, because a statement that waits for this row's lock reads its newest version.
      longest_jwt_lifetime_ms bigint not null
    ) with (fillfactor = 10)`,

    `create table service_credentials (
      project_id text not null references projects (id),
      id uuid not null,
      display_name text not null,
      secret_hash bytea not null, -- SHA-256
      permissions text[] not null,
      certificate_names text[] not null,
      create_time timestamptz not null,
      disable_time timestamptz,
      primary key (project_id, id)
    )`,

    // The enabled credential of each certificate name. The key does not begin with the project, because the name determines the
    // project. The name of a disabled credential may be assigned again.
    `create table certificate_names (
      name text primary key,
      project_id text not null,
      credential_id uuid not null
    )`,

    // Times alone determine the state of a key, so that a successor takes over without a write: a key is published from
    // create_time, signs from activate_time to retire_time, the next key's activate_time, and is refused once revoke_time is set.
    // Rejected: a stored state, which a replica would have to change on time.
    `create table signing_keys (
      project_id text not null references projects (id),
      kid text not null, -- RFC 7638 thumbprint
      algorithm text not null,
      public_jwk jsonb not null,
      sealed_private_key bytea not null, -- AES-256-GCM
      master_key_id text not null,
      create_time timestamptz not null,
      activate_time timestamptz not null,
      retire_time timestamptz, -- null: no successor yet
      revoke_time timestamptz,
      revoke_revision bigint,
      primary key (project_id, kid)
    )`,
    // One key has no successor: decides between replicas that create the first or next one concurrently.
    `create unique index signing_keys_last on signing_keys (project_id) where retire_time is null`,

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
    ) with (fillfactor = 85)`,
    // List and count by member; whether a member belongs to an organization. Unusable for queries without a member: a plan made
    // before there are sessions would otherwise use it instead of the primary key.
    `create index sessions_by_member on sessions (project_id, member_id, id desc) where member_id is not null`,
    // List and count by organization.
    `create index sessions_by_organization on sessions (project_id, organization_id, id desc)
      where organization_id is not null`,

    `create table session_tokens (
      project_id text not null,
      hash bytea not null, -- SHA-256
      session_id uuid not null,
      create_time timestamptz not null,
      replace_time timestamptz, -- when a newer token replaced it
      successor_salt bytea, -- derives the successor of a replaced token from the token itself
      primary key (project_id, hash)
    )`,
    // Finds the tokens of a purged session. It grows at its right end, as session ids do: 130 of the 1,070 bytes of WAL of a login,
    // and nothing for revocations. Rejected: a scan of all tokens by hash, which reads every page of the table in random order.
    `create index session_tokens_by_session on session_tokens (project_id, session_id)`,
    // Finds the oldest replaced tokens of a session. A session has no entry before its first rotation.
    `create index session_tokens_replaced on session_tokens (project_id, session_id, replace_time)
      where replace_time is not null`,

    // Creations with a request id, which may be repeated. A row is written with its session. After 10 minutes a creation with the
    // same id replaces it, and the purge deletes it. The purge walks the primary key: an index by time would cost every such
    // creation a second index entry.
    `create table creation_requests (
      project_id text not null,
      request_id text not null,
      fingerprint bytea not null, -- SHA-256 of the request
      session_id uuid not null,
      sealed_token bytea not null, -- AES-256-GCM
      master_key_id text not null,
      create_time timestamptz not null, -- by the database's clock
      primary key (project_id, request_id)
    )`,

    // Sessions of the target that were created before the revision are revoked.
    `create table cutoffs (
      project_id text not null,
      scope text not null check (scope in ('member', 'organization', 'project')),
      target_id text not null,
      revision bigint not null,
      primary key (project_id, scope, target_id)
    ) with (fillfactor = 80)`,

    // The log of revocations. Append-only; the purge deletes from its start.
    //
    // Rejected: an index by member, for the list of what ended a member's sessions. It made revocations of sessions write 28% more
    // WAL and take 13% to 43% longer. The list finds them by the member's sessions, which are kept as long as the log.
    `create table revocations (
      project_id text not null,
      revision bigint not null,
      id uuid not null, -- random: tells the rows of two histories with the same revision apart
      scope text not null check (scope in ('session', 'member', 'organization', 'project', 'signing_key')),
      target_id text not null,
      except_session_id uuid,
      revoke_time timestamptz not null,
      matter_until_time timestamptz not null, -- until when it is relevant to a session JWT
      cause text not null,
      reason text not null,
      actor text not null,
      acting_user text not null, -- empty: the service stated none, or an end user acted
      member_id text, -- of the session; null in other scopes
      organization_id text,
      primary key (project_id, revision)
    )`,
    // Finds the first cutoff that ended a session. A session that was revoked by name has the revision. Index entries of sessions,
    // each in a random place, would be a fifth of the cost of a revocation.
    `create index revocations_by_target on revocations (project_id, scope, target_id, revision)
      where scope <> 'session'`,
    // Finds the first revocation that is still relevant, where a snapshot starts.
    `create index revocations_by_matter_until on revocations (project_id, matter_until_time)`,

    // The serving processes. Each renews its row every 500 ms in a commit that waits for the synchronous standby.
    `create table replicas (
      id uuid primary key,
      name text not null, -- host and process id, for operators
      timeline integer, -- of the server that the last renewal was written to; null if the database has none
      leased boolean not null, -- whether the renewal waited for synchronous standbys, so that it keeps a lease of 2 s
      start_time timestamptz not null,
      renew_time timestamptz not null
    ) with (fillfactor = 10)`,

    // Runs of \`sessiond recover\`, and the projects that each has recovered.
    `create table recoveries (
      id uuid primary key,
      keep_sessions boolean not null,
      start_time timestamptz not null,
      finish_time timestamptz
    )`,
    `create table project_recoveries (
      project_id text not null references projects (id),
      recovery_id uuid not null references recoveries (id),
      revision bigint not null, -- start_revision of the history that it started
      recover_time timestamptz not null,
      primary key (project_id, recovery_id)
    )`,
  ]),
};
