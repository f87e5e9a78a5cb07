import { type Kysely, sql } from "kysely";
import type { SchemaMigration } from "./schema-migration.ts";

/** Session tokens that replace each other. */
export const tokenRotation: SchemaMigration = {
  indexes: {
    // The replaced tokens of a session, to forget the oldest. No session has an entry before its first rotation.
    session_tokens_replaced:
      "session_tokens (project_id, session_id, replace_time) where replace_time is not null",
  },
  async up(db: Kysely<unknown>): Promise<void> {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};

const statements = [
  // What the successor of a replaced token is derived with, from the token that only its holder knows.
  `alter table session_tokens add column successor_salt bytea`,
];
