import { type Kysely, sql } from "kysely";
import type { SchemaMigration } from "./schema-migration.ts";

/** What the purge after retention needs. */
export const purge: SchemaMigration = {
  indexes: {
    // The tokens of a session that is purged. It grows at its right end, as session ids do: 130 of the 1,070 bytes of WAL that a
    // login writes, and nothing for revocations. Rejected: a walk over all tokens by their hashes, which reads every page of the
    // table in random order to find the few whose session is gone.
    session_tokens_by_session: "session_tokens (project_id, session_id)",
  },
  async up(db: Kysely<unknown>): Promise<void> {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};

const statements = [
  // Who purges, until when, and when all was last done; one row. Rejected: an advisory lock, which outlives its owner where a
  // pooler keeps the connection, and says nothing of when.
  `create table purge_lease (
    id boolean primary key default true check (id),
    holder uuid,
    until_time timestamptz not null default '-infinity',
    finish_time timestamptz not null default '-infinity'
  )`,
  `insert into purge_lease default values`,
];
