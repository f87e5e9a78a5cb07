import { Client } from "pg";
import { type Bench, urlOf } from "../bench.ts";
import { project, startSessiond } from "../sessiond.ts";
import { NumberRange } from "./numbers.ts";
import { type StoredSessions, storeSessions } from "./sessions.ts";
import { runSql } from "../../support/postgres/sql.ts";

/** A database with sessions of the bench's project, by number. */
export interface StoredProject {
  readonly database: string;
  readonly tag: string;
  /** Sessions of the project, without crowds. */
  readonly count: number;
  /** To authenticate: accessed recently, so that a call only reads. */
  readonly recent: NumberRange;
  /** To authenticate: accessed an hour ago, so that the first call records its access. */
  readonly idle: NumberRange;
  readonly mortal: NumberRange;
  readonly secondsForEach: number;
}

/** Numbers of the sessions of crowds begin here, above all others. */
const beyond = 2 ** 40;

/**
 * Creates a database with `count` sessions in the bench's project, three per member and 3,000 per organization, and with the
 * sessions `besides`.
 */
export async function storeProject(
  bench: Bench,
  database: string,
  count: number,
  besides: readonly StoredSessions[] = [],
): Promise<StoredProject> {
  const start = performance.now();
  await runSql(bench.postgres.url, `create database ${database}`);
  const url = urlOf(bench, database);
  // The server creates the schema and the project.
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

export async function restoreProject(bench: Bench, stored: StoredProject): Promise<void> {
  const url = urlOf(bench, stored.database);
  await runSql(url, "truncate sessions, session_tokens, revocations, cutoffs");
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
    // In the future, so that it stays recent while the bench runs.
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

/** Members whose sessions are listed: number of their sessions. */
export const listed = { few: 30, many: 30_000 } as const;

/** Projects for RevokeAll: one with many sessions of one member and organization, one with a single session. */
export const ended = { many: "crowd", one: "lonely" } as const;

export function crowds(count: number): readonly StoredSessions[] {
  const common = { organization: "'crowd'", lastAccess: "now()" };
  const listedSessions = Object.values(listed).map((count, i) => ({
    ...common,
    projectId: project.id,
    first: beyond + i * listed.many,
    count,
    member: `'listed-${count}'`,
  }));
  const endedSessions = [
    { ...common, projectId: ended.many, first: 2 * beyond, count, member: "'crowd'" },
    { ...common, projectId: ended.one, first: 3 * beyond, count: 1, member: "'crowd'" },
  ];
  return [...listedSessions, ...endedSessions];
}

/** Upper bound of calls per second of any server here. */
const maxPerSecond = 50_000;

/** Ensures that enough sessions are left to revoke for a number of calls or a round. If not, makes all active again. */
export async function keepMortal(bench: Bench, stored: StoredProject, calls?: number): Promise<void> {
  const { mortal, database } = stored;
  const needed = calls ?? Math.ceil(bench.extent.seconds * maxPerSecond);
  if (mortal.count - mortal.used >= needed) return;
  await checkRevoked(bench, stored);
  const url = urlOf(bench, database);
  await runSql(url, "update sessions set revoked_revision = null where revoked_revision is not null");
  await runSql(url, "vacuum analyze sessions");
  await runSql(url, "checkpoint");
  mortal.reset();
  bench.say("made revoked sessions active again");
}

/** Rejects unless the database has a revoked session for each call that revoked one. Returns their number. */
export async function checkRevoked(bench: Bench, { database, mortal }: StoredProject): Promise<number> {
  const [row] = await runSql<{ count: string }>(
    urlOf(bench, database),
    "select count(*) from sessions where revoked_revision is not null",
  );
  const revoked = Number(row?.count);
  if (revoked !== mortal.used) throw new Error(`${mortal.used} calls revoked ${revoked} sessions`);
  return revoked;
}
