import { CompiledQuery, type Kysely } from "kysely";
import { openDatabase } from "../../../../src/storage/connection/database.ts";
import type { Tables } from "../../../../src/storage/schema/tables.ts";
import type { SchemaMigration } from "../../../../src/storage/schema/migrations/schema-migration.ts";

/**
 * Finds what a migration must not do while the release before serves, in a transaction that is rolled back: forbidden keywords,
 * and reading, writing or rewriting an existing table, which takes as long as the table is large.
 */
export async function faultsOf(url: string, migration: SchemaMigration): Promise<readonly string[]> {
  const statements: string[] = [];
  const options = {
    url,
    maxConnections: 1,
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 20_000,
    preparedStatements: false,
    onConnectionError: () => undefined,
  };
  const db = openDatabase(options, ({ query }) => void statements.push(query.sql));
  try {
    const transaction = await db.startTransaction().execute();
    const before = await tablesIn(transaction);
    statements.length = 0;
    await migration.up(transaction);
    const said = statements.splice(0);
    const after = new Map((await tablesIn(transaction)).map((table) => [table.name, table]));
    await transaction.rollback().execute();
    const touched = before.flatMap(({ name, file, rows }) => {
      const now = after.get(name);
      if (now === undefined) return [];
      const faults = [];
      if (now.rows !== rows) faults.push(`${name}: rows are read or written`);
      if (now.file !== file) faults.push(`${name}: is rewritten`);
      return faults;
    });
    const contracts = migration.needs === undefined ? said.flatMap(contractionIn) : [];
    return [...contracts, ...touched];
  } finally {
    await db.destroy();
  }
}

/** Keywords that remove something, which only migrations with `needs` may do. */
function contractionIn(statement: string): readonly string[] {
  const words =
    /\bdrop (?!constraint)\w+( \w+)?|\brename\b|\balter column \w+ (?:set data )?type\b|\bset not null\b|\bdrop default\b/i;
  const found = words.exec(statement)?.[0];
  return found === undefined ? [] : [`contracts without \`needs\`: ${found}`];
}

interface TableFacts {
  readonly name: string;
  /** The table's file; a rewritten table has another one. */
  readonly file: string;
  /** Rows and index entries of the table that this transaction has read or written. */
  readonly rows: string;
}

async function tablesIn(db: Kysely<Tables>): Promise<readonly TableFacts[]> {
  const query = CompiledQuery.raw(`
    select c.relname as name, pg_relation_filenode(c.oid)::text as file,
      (s.seq_scan + s.seq_tup_read + coalesce(s.idx_scan, 0) + s.n_tup_ins + s.n_tup_upd + s.n_tup_del)::text as rows
    from pg_class c join pg_stat_xact_user_tables s on s.relid = c.oid
    where c.relname not like 'sessiond_migrations%'
    order by c.relname`);
  const { rows } = await db.executeQuery<TableFacts>(query);
  return rows;
}
