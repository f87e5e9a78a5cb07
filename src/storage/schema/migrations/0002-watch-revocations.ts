import { type Kysely, sql } from "kysely";
import type { Migration } from "kysely/migration";

/**
 * What a watcher of revocations must know: until when each can matter to a session JWT. The default serves the version before,
 * which writes none, while both run: no JWT lives longer than an hour.
 */
export const watchRevocations: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};

const statements = [
  // The longest that the project's policies ever were: JWTs signed under an earlier policy count too.
  `alter table projects add column longest_jwt_lifetime_ms bigint not null default 300000`,
  `update projects set longest_jwt_lifetime_ms = greatest(300000, (policy ->> 'jwtLifetime')::bigint)`,
  `alter table revocations
    add column matter_until_time timestamptz not null default now() + interval '61 minutes'`,
  `update revocations set matter_until_time = revoke_time + interval '61 minutes'`,
  // The first revocation that can still matter, where a snapshot starts.
  `create index revocations_by_matter_until on revocations (project_id, matter_until_time)`,
];
