import { sql } from "kysely";
import type { Migration } from "kysely/migration";

/**
 * A step of the schema. While it runs, and for a while after, the release before keeps serving: replicas are replaced one by
 * one, and a rollback restarts the old release. So a schema first expands, and contracts one release later:
 *
 * - Expanding: `up` creates tables, adds columns that are nullable or have a constant default, and widens checks. It drops,
 *   renames and retypes nothing, and requires nothing that the release before does not write.
 * - Contracting: `up` removes what the release before does not use either. `needs` names the migration that code must know to
 *   serve afterwards; older code refuses to start.
 * - An existing table is locked only while its description changes: `up` fills no column of it and builds no index on it.
 *   Indexes go into `indexes`, which are built concurrently with writes; code fills in rows.
 * - A released migration is never edited.
 *
 * `test/store/schema/upgrade.test.ts` runs the statements of the release before during and after each migration, and rejects
 * forbidden statements.
 */
export interface SchemaMigration extends Migration {
  /** Indexes on existing tables: the part after `create index <name> on`, by name; for example `sessions (project_id)`. */
  readonly indexes?: Readonly<Record<string, string>>;
  /** The migration that code must know to serve on the schema, if it changes. */
  readonly needs?: string;
}

export function inOrder(statements: readonly string[]): Migration["up"] {
  return async (db) => {
    for (const statement of statements) await sql.raw(statement).execute(db);
  };
}
