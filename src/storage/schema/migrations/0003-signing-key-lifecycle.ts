import { type Kysely, sql } from "kysely";
import type { Migration } from "kysely/migration";

/**
 * Signing keys that follow each other. What a key is good for stands in its times alone, so nothing has to happen for one to
 * take over: it is published from create_time, signs from activate_time to retire_time, where the next one's activate_time
 * is, and is refused once revoke_time is set. Rejected: a stored state, which some replica would have to change on time.
 */
export const signingKeyLifecycle: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};

const statements = [
  `drop index signing_keys_active`,
  `alter table signing_keys
    drop column state,
    add column activate_time timestamptz,
    add column retire_time timestamptz, -- null: no other is to take over yet
    add column revoke_time timestamptz,
    add column revoke_revision bigint`,
  `update signing_keys set activate_time = create_time`,
  `alter table signing_keys alter column activate_time set not null`,
  // One key is the last in line: replicas that race to make the first one, or the next, agree through it.
  `create unique index signing_keys_last on signing_keys (project_id) where retire_time is null`,

  `alter table revocations drop constraint revocations_scope_check`,
  `alter table revocations add constraint revocations_scope_check
    check (scope in ('session', 'member', 'organization', 'project', 'signing_key'))`,
];
