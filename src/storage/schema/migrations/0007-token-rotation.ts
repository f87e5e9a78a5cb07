import { type SchemaMigration, inOrder } from "./schema-migration.ts";

export const tokenRotation: SchemaMigration = {
  indexes: {
    // Finds the oldest replaced tokens of a session. A session has no entry before its first rotation.
    session_tokens_replaced:
      "session_tokens (project_id, session_id, replace_time) where replace_time is not null",
  },
  up: inOrder([
    // Derives the successor of a replaced token from the token itself.
    `alter table session_tokens add column successor_salt bytea`,
  ]),
};
