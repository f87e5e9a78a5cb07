import type { Migration } from "kysely/migration";

/**
 * A step of the schema. While it is made, and for a while after, the release before goes on serving: replicas are replaced one by
 * one, one of the old may start again, and all of them where a release is rolled back. So a schema first expands, and contracts
 * a release later:
 *
 * - Expanding, `up` makes new tables, adds columns that may be null or have a constant default, and widens checks. It drops,
 *   renames and retypes nothing, and demands nothing that the release before does not write.
 * - Contracting, `up` takes away what the release before no longer uses either. Such a migration says in `needs` which migration
 *   code must know to serve on the schema from then on; older code refuses to start.
 * - A table that is there already is locked for no longer than its description takes to change: `up` fills no column of it and
 *   builds no index on it. Indexes go into `indexes`, which are built beside whoever writes; rows are filled in by the code.
 * - A released migration is never edited.
 *
 * `test/store/schema/upgrade.test.ts` has the statements of the release before run while each migration is made and after it, and looks
 * for what is forbidden.
 */
export interface SchemaMigration extends Migration {
  /** Indexes on tables that are there already, by name: what follows `create index <name> on`, such as `sessions (project_id)`. */
  readonly indexes?: Readonly<Record<string, string>>;
  /** The migration that code must know to serve on the schema, where that is not the same as before. */
  readonly needs?: string;
}
