import { type SchemaMigration, inOrder } from "./schema-migration.ts";

/**
 * For whom services acted, and whose session each revocation of a single session ended.
 *
 * Rejected: an index by member for the list of a member's revocations. Every revocation of a session would write an entry in a
 * random place of it. The list finds these revocations by the member's sessions, which the log never outlives.
 */
export const actingUsers: SchemaMigration = {
  up: inOrder([
    `alter table revocations
      add column acting_user text not null default '', -- empty: the service stated none, or an end user acted
      add column member_id text, -- of the session; null in other scopes
      add column organization_id text`,
  ]),
};
