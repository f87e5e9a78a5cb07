import { type SchemaMigration, inOrder } from "./schema-migration.ts";

/**
 * For whom services acted, and whose session each revocation of a single session ended.
 *
 * Rejected: an index by member, for the list of what ended a member's sessions. It made revocations of sessions write 28% more
 * WAL and take 13% to 43% longer. The list finds them by the member's sessions, which are kept as long as the log.
 */
export const actingUsers: SchemaMigration = {
  up: inOrder([
    `alter table revocations
      add column acting_user text not null default '', -- empty: the service stated none, or an end user acted
      add column member_id text, -- of the session; null in other scopes
      add column organization_id text`,
  ]),
};
