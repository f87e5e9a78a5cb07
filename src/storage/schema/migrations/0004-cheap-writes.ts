import { type Kysely, sql } from "kysely";
import type { Migration } from "kysely/migration";

/** What revocations and other updates need to be cheap: less to wait for, and room beside the row for its next version. */
export const cheapWrites: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};

const statements = [
  // A statement that waits for this row's lock finds here what holds by then. The column of projects stays for the version
  // before, which reads it, and raises it alone; both are read until that version is gone.
  `alter table project_revisions add column longest_jwt_lifetime_ms bigint not null default 300000`,
  `update project_revisions r set longest_jwt_lifetime_ms = p.longest_jwt_lifetime_ms
    from projects p where p.id = r.project_id`,

  // An update that finds room in the row's own page, and changes no indexed column, writes to no index. Pages that are there
  // already stay as they are.
  `alter table project_revisions set (fillfactor = 10)`, // every revocation updates one row, over and over
  `alter table cutoffs set (fillfactor = 80)`,
  `alter table sessions set (fillfactor = 85)`,

  // A session that was named remembers the revision, which leads to the log; by target only cutoffs are looked for. Entries of
  // sessions, each somewhere else in the index, were a fifth of what a revocation cost.
  `drop index revocations_by_target`,
  `create index revocations_by_target on revocations (project_id, scope, target_id, revision)
    where scope <> 'session'`,

  // As before, but of use for no query that names no member: a plan made before there are any sessions would otherwise take it
  // for as good as the primary key.
  `drop index sessions_by_member`,
  `create index sessions_by_member on sessions (project_id, member_id, id desc) where member_id is not null`,
];
