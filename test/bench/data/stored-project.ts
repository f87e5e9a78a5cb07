import { Client } from "pg";
import { type Bench, databaseUrl, execute } from "../bench.ts";
import { project, startSessiond } from "../sessiond.ts";
import { NumberRange } from "./numbers.ts";
import { type StoredSessions, storeSessions } from "./sessions.ts";

/** A database with sessions of the bench's project. */
export interface StoredProject {
  readonly database: string;
  readonly tag: string;
  /** How many sessions there are, beside a few. */
  readonly count: number;
  /** To authenticate: accessed within the last minute, so that an access is only read. */
  readonly recent: NumberRange;
  /** To authenticate: not accessed for an hour, so that the first access is also written down. */
  readonly idle: NumberRange;
  /** To revoke, each once. */
  readonly mortal: NumberRange;
  /** How long it took to store a session, in seconds. */
  readonly secondsForEach: number;
}

/** Where sessions of single members are, beyond all others. */
export const beyond = 2 ** 40;

/**
 * Creates a database with so many sessions in the bench's project, three a member and 3,000 an organization; and with those
 * sessions besides.
 */
export async function storeProject(
  bench: Bench,
  database: string,
  count: number,
  besides: readonly StoredSessions[] = [],
): Promise<StoredProject> {
  const start = performance.now();
  await execute(bench.postgres.url, `create database ${database}`);
  const url = databaseUrl(bench, database);
  // The server itself makes the schema and the project.
  const server = await startSessiond(bench, database);
  await server.stop();
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (const id of new Set(besides.map(({ projectId }) => projectId))) await copyProject(client, id);
    await storeSessions(url, [evenly(count), ...besides]);
    const { rows } = await client.query<{ tag: string }>("select tag from projects where id = $1", [
      project.id,
    ]);
    const seconds = (performance.now() - start) / 1000;
    const all = besides.reduce((sum, { count }) => sum + count, count);
    bench.say(`${all} sessions stored in ${seconds.toFixed(0)} s`);
    return { database, tag: rows[0]?.tag ?? "", count, ...ranges(count), secondsForEach: seconds / all };
  } finally {
    await client.end();
  }
}

/** Puts the sessions of a small project back as they were. */
export async function restoreProject(bench: Bench, stored: StoredProject): Promise<void> {
  const url = databaseUrl(bench, stored.database);
  await execute(url, "truncate sessions, session_tokens, revocations, cutoffs");
  await storeSessions(url, [evenly(stored.count)]);
  for (const range of [stored.recent, stored.idle, stored.mortal]) range.reset();
}

function evenly(count: number): StoredSessions {
  const { recent } = ranges(count);
  return {
    projectId: project.id,
    first: 0,
    count,
    member: "'member-' || i / 3",
    organization: "'organization-' || i / 3000",
    // In the future, so that it is recent for as long as the bench runs.
    lastAccess: `now() + case when i < ${recent.count} then interval '1 hour' else interval '-1 hour' end`,
  };
}

function ranges(count: number) {
  const [recent, idle] = [Math.floor(count * 0.3), Math.floor(count * 0.2)];
  return {
    recent: new NumberRange(0, recent),
    idle: new NumberRange(recent, idle),
    mortal: new NumberRange(recent + idle, count - recent - idle),
  };
}

/** Another project with the same credential. */
async function copyProject(client: Client, id: string): Promise<void> {
  if (id === project.id) return;
  const copy = (table: string, changes: object) =>
    client.query(
      `insert into ${table} select (jsonb_populate_record(t, $1)).* from ${table} t
       where ${table === "projects" ? "id" : "project_id"} = $2`,
      [JSON.stringify(changes), project.id],
    );
  await copy("projects", { id, tag: id.padEnd(8, "x").slice(0, 8) });
  await copy("project_revisions", { project_id: id });
  await copy("service_credentials", { project_id: id });
}
