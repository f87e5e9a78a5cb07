import { type SchemaMigration, inOrder } from "./schema-migration.ts";

export const purge: SchemaMigration = {
  indexes: {
    // Finds the tokens of a purged session. It grows at its right end, as session ids do: 130 of the 1,070 bytes of WAL of a
    // login, and nothing for revocations. Rejected: a scan of all tokens by hash, which reads every page of the table in random
    // order.
    session_tokens_by_session: "session_tokens (project_id, session_id)",
  },
  up: inOrder([
    // The process that purges, until when, and when the last purge finished; one row. Rejected: an advisory lock, which outlives
    // its owner if a pooler keeps the connection, and has no time.
    `create table purge_lease (
      id boolean primary key default true check (id),
      holder uuid,
      until_time timestamptz not null default '-infinity',
      finish_time timestamptz not null default '-infinity'
    )`,
    `insert into purge_lease default values`,
  ]),
};
