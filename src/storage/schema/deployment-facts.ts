import { sql } from "kysely";
import { type HeldLease, heldLeases } from "./lease.ts";
import type { Db } from "./tables.ts";

/** Tells whether two URLs lead to the same place. */
export interface DatabaseIdentity {
  /** Of the cluster of servers; undefined if the role may not know it. */
  readonly system: string | undefined;
  readonly database: string;
  /** Undefined if no schema of the search path exists. */
  readonly schema: string | undefined;
  readonly role: string;
}

export async function readIdentity(db: Db): Promise<DatabaseIdentity> {
  const { rows } = await sql<{ database: string; schema: string | null; role: string; knows: boolean }>`
    select current_database() as database, current_schema() as schema, current_user as role,
      coalesce(has_function_privilege(to_regprocedure('pg_control_system()'), 'execute'), false) as knows`.execute(
    db,
  );
  const [row] = rows;
  if (row === undefined) throw new Error("the database does not say what it is");
  const { database, schema, role, knows } = row;
  return { database, schema: schema ?? undefined, role, system: knows ? await readSystem(db) : undefined };
}

async function readSystem(db: Db): Promise<string | undefined> {
  const { rows } = await sql<{ system: string }>`
    select system_identifier::text as system from pg_control_system()`.execute(db);
  return rows[0]?.system;
}

/** A table of the current schema, and what the role may not do with it although serving needs it. */
export interface MissingPrivileges {
  readonly table: string;
  readonly privileges: string;
}

/** Serving only reads the tables of migrations. */
export async function missingPrivileges(db: Db): Promise<readonly MissingPrivileges[]> {
  const { rows } = await sql<MissingPrivileges>`
    select c.relname as table, string_agg(p.privilege, ', ' order by p.place) as privileges
    from pg_class c
    cross join unnest('{select,insert,update,delete}'::text[]) with ordinality as p (privilege, place)
    where c.relnamespace = to_regnamespace(quote_ident(current_schema())) and c.relkind in ('r', 'p')
      and c.relname = any(${tableNames}::text[])
      and (p.privilege = 'select' or c.relname not like 'sessiond\\_migrations%')
      and not has_table_privilege(c.oid, p.privilege)
    group by c.relname order by c.relname`.execute(db);
  return rows;
}

const tableNames = [
  "projects",
  "project_revisions",
  "service_credentials",
  "certificate_names",
  "signing_keys",
  "sessions",
  "session_tokens",
  "creation_requests",
  "cutoffs",
  "revocations",
  "replicas",
  "recoveries",
  "project_recoveries",
  "leases",
  "sessiond_migrations",
  "sessiond_migrations_needs",
];

/** A serving process, by its row of presence. */
export interface ReplicaRow {
  /** Host and process id. */
  readonly name: string;
  readonly secondsSinceRenewal: number;
}

/** A statement that waits for a lock that others hold. */
export interface LongWait {
  readonly seconds: number;
  readonly blockedBy: readonly number[];
}

/** What is going on in a deployment. */
export interface DeploymentActivity {
  readonly replicas: readonly ReplicaRow[];
  readonly leases: readonly HeldLease[];
  /** Statements of this database that have waited for a lock for more than 2 seconds. */
  readonly waits: readonly LongWait[];
}

/** For a schema of this version. */
export async function readActivity(db: Db): Promise<DeploymentActivity> {
  const { rows: replicas } = await sql<ReplicaRow>`
    select name, extract(epoch from clock_timestamp() - renew_time)::float8 as "secondsSinceRenewal"
    from replicas order by renew_time desc, name`.execute(db);
  const { rows: waits } = await sql<LongWait>`
    select extract(epoch from clock_timestamp() - query_start)::float8 as seconds,
      array(select unnest(pg_blocking_pids(pid))) as "blockedBy"
    from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'
      and query_start < clock_timestamp() - interval '2 seconds'
    order by query_start`.execute(db);
  return { replicas, waits, leases: await heldLeases(db) };
}
