import { type SchemaMigration, inOrder } from "./schema-migration.ts";

/**
 * Until when each revocation is relevant to a session JWT. The default is for the version before, which writes no value, while
 * both run: no JWT lives longer than an hour.
 */
export const watchRevocations: SchemaMigration = {
  up: inOrder([
    // The longest lifetime under any policy of the project: JWTs signed under an earlier policy count too.
    `alter table projects add column longest_jwt_lifetime_ms bigint not null default 300000`,
    `update projects set longest_jwt_lifetime_ms = greatest(300000, (policy ->> 'jwtLifetime')::bigint)`,
    `alter table revocations
      add column matter_until_time timestamptz not null default now() + interval '61 minutes'`,
    `update revocations set matter_until_time = revoke_time + interval '61 minutes'`,
    // Finds the first revocation that is still relevant, where a snapshot starts.
    `create index revocations_by_matter_until on revocations (project_id, matter_until_time)`,
  ]),
};
