import { Client } from "pg";
import { sessionIdInSql, sessionTokenInSql } from "./numbers.ts";
import { runSql } from "../../support/postgres/sql.ts";

export interface StoredSessions {
  readonly projectId: string;
  readonly first: number;
  readonly count: number;
  /** SQL expressions of the session's number `i`. */
  readonly member: string;
  readonly organization: string;
  readonly lastAccess: string;
}

/**
 * Stores sessions with their tokens. Drops indexes meanwhile and creates them again. Afterwards the tables are like those in
 * use: with statistics, written back, and cached as far as they fit.
 */
export async function storeSessions(url: string, all: readonly StoredSessions[]): Promise<void> {
  // Otherwise every gigabyte would cause a checkpoint.
  await runSql(url, "alter system set max_wal_size = '16GB'");
  await runSql(url, "select pg_reload_conf()");
  await Promise.all(tables.map((table) => fill(url, table, all)));
  await runSql(url, "checkpoint");
  await runSql(url, "alter system reset max_wal_size");
  await runSql(url, "select pg_reload_conf()");
  await runSql(url, "create extension if not exists pg_prewarm");
  await runSql(
    url,
    `select pg_prewarm(c.oid) from pg_class c
     where c.oid = any ($1::regclass[]) or c.oid in (select indexrelid from pg_index where indrelid = any ($1::regclass[]))`,
    tables,
  );
}

const tables = ["sessions", "session_tokens"] as const;
type Table = (typeof tables)[number];

async function fill(url: string, table: Table, all: readonly StoredSessions[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("set maintenance_work_mem = '512MB'; set synchronous_commit = off");
    const many = all.reduce((sum, { count }) => sum + count, 0) > 50_000;
    const createIndexes = many ? await dropIndexes(client, table) : [];
    for (const sessions of all) await insert(client, table, sessions);
    for (const statement of createIndexes) await client.query(statement);
    await client.query(`vacuum analyze ${table}`);
  } finally {
    await client.end();
  }
}

async function dropIndexes(client: Client, table: Table): Promise<readonly string[]> {
  const { rows } = await client.query<{ drop: string; create: string }>(
    `
    select case when c.oid is null then format('drop index %s', i.indexrelid::regclass)
             else format('alter table %s drop constraint %I', i.indrelid::regclass, c.conname) end as drop,
           case when c.oid is null then pg_get_indexdef(i.indexrelid)
             else format('alter table %s add constraint %I %s', i.indrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
           end as create
    from pg_index i left join pg_constraint c on c.conindid = i.indexrelid
    where i.indrelid = $1::regclass`,
    [table],
  );
  for (const { drop } of rows) await client.query(drop);
  return rows.map(({ create }) => create);
}

async function insert(client: Client, table: Table, sessions: StoredSessions): Promise<void> {
  const { projectId, first, count, member, organization, lastAccess } = sessions;
  const numbers = `generate_series(${first}::bigint, ${first + count - 1}::bigint) i`;
  const { rows } = await client.query<{ tag: string; revision: string }>(
    "select tag, revision from projects join project_revisions on project_id = id where id = $1",
    [projectId],
  );
  const [project] = rows;
  if (project === undefined) throw new Error(`there is no project ${projectId}`);
  await client.query(
    table === "sessions"
      ? `insert into sessions (project_id, id, member_id, organization_id, created_revision, create_time, last_access_time,
           expire_time, user_agent, ip_address, authentication_factors, roles, custom_claims)
         select '${projectId}', ${sessionIdInSql}, ${member}, ${organization}, ${project.revision}, now(), ${lastAccess},
           now() + interval '7 days', 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0', '192.0.2.1', '[]', '{}', '{}'
         from ${numbers}`
      : `insert into session_tokens (project_id, hash, session_id, create_time)
         select '${projectId}', sha256((${sessionTokenInSql(project.tag)})::bytea), ${sessionIdInSql}, now()
         from ${numbers}`,
  );
}
