import { type SchemaMigration, inOrder } from "./schema-migration.ts";

/**
 * Rotation of signing keys. Times alone determine the state of a key, so that a successor takes over without a write: a key is
 * published from create_time, signs from activate_time to retire_time, the next key's activate_time, and is refused once
 * revoke_time is set. Rejected: a stored state, which a replica would have to change on time.
 */
export const signingKeyLifecycle: SchemaMigration = {
  up: inOrder([
    `drop index signing_keys_active`,
    `alter table signing_keys
      drop column state,
      add column activate_time timestamptz,
      add column retire_time timestamptz, -- null: no successor yet
      add column revoke_time timestamptz,
      add column revoke_revision bigint`,
    `update signing_keys set activate_time = create_time`,
    `alter table signing_keys alter column activate_time set not null`,
    // One key has no successor: decides between replicas that create the first or next one concurrently.
    `create unique index signing_keys_last on signing_keys (project_id) where retire_time is null`,

    `alter table revocations drop constraint revocations_scope_check`,
    `alter table revocations add constraint revocations_scope_check
      check (scope in ('session', 'member', 'organization', 'project', 'signing_key'))`,
  ]),
};
