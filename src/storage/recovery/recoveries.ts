import { randomUUID } from "node:crypto";
import { type Transaction, sql } from "kysely";
import type { Project } from "../../domain/project.ts";
import { type ProjectRow, toProject } from "../projects/projects.ts";
import { columnsOf, projectColumns } from "../schema/columns.ts";
import type { Db, Tables } from "../schema/tables.ts";

/** A run of `sessiond recover`, which may have been interrupted and continued. */
export interface Recovery {
  readonly id: string;
  readonly keepSessions: boolean;
  readonly startTime: Date;
  /** Undefined while there are projects that it has not recovered. */
  readonly finishTime: Date | undefined;
}

export interface RecoveryOptions {
  /** Whether the sessions of the backup stay active. */
  readonly keepSessions: boolean;
  /** Starts a new recovery, even if there is one already. */
  readonly again: boolean;
}

/**
 * Returns the interrupted recovery that a run with these options continues; undefined if the run starts a new one. Throws, with
 * a sentence for the operator, if the options do not allow either.
 */
export async function recoveryToContinue(
  db: Db,
  { keepSessions, again }: RecoveryOptions,
): Promise<Recovery | undefined> {
  const newest = await findNewest(db);
  if (newest === undefined || again) return undefined;
  const { startTime, finishTime } = newest;
  if (finishTime !== undefined) {
    throw new Error(
      `the recovery of ${finishTime.toISOString()} is finished: add --again if the database has been restored since`,
    );
  }
  if (newest.keepSessions === keepSessions) return newest;
  throw new Error(
    `the recovery that began at ${startTime.toISOString()} ${newest.keepSessions ? "with" : "without"} --keep-sessions is not ` +
      `finished: run it again ${newest.keepSessions ? "with" : "without"} that option, or add --again to start a new one`,
  );
}

/** Starts a recovery, or returns the one that {@link recoveryToContinue} finds. Of two processes, the second continues. */
export async function beginRecovery(db: Db, options: RecoveryOptions): Promise<Recovery> {
  return db.transaction().execute(async (transaction) => {
    await sql`lock table recoveries in exclusive mode`.execute(transaction);
    return (await recoveryToContinue(transaction, options)) ?? insertRecovery(transaction, options);
  });
}

/** A time later than every other of this column, whatever the clock, because the newest recovery is found by time. */
const laterThanAll = (column: "start_time" | "finish_time") => sql<Date>`(
  select greatest(clock_timestamp(), max(${sql.ref(column)}) + interval '1 millisecond') from recoveries)`;

async function insertRecovery(db: Transaction<Tables>, { keepSessions }: RecoveryOptions): Promise<Recovery> {
  const row = await db
    .insertInto("recoveries")
    .values({ id: randomUUID(), keep_sessions: keepSessions, start_time: laterThanAll("start_time") })
    .returning(recoveryColumns)
    .executeTakeFirstOrThrow();
  // Rows in the backup of processes that serve no more.
  await sql`
    delete from replicas where renew_time < clock_timestamp() - ${presenceSeconds} * interval '1 second'`.execute(
    db,
  );
  return toRecovery(row);
}

/** The newest recovery, if it was interrupted or is running: some projects are not recovered yet. */
export async function unfinishedRecovery(db: Db): Promise<Recovery | undefined> {
  const newest = await findNewest(db);
  return newest?.finishTime === undefined ? newest : undefined;
}

/** Records that every project is recovered. Returns when. */
export async function finishRecovery(db: Db, id: string): Promise<Date> {
  const { time } = await db.transaction().execute((transaction) =>
    transaction
      .updateTable("recoveries")
      .set({ finish_time: sql<Date>`coalesce(finish_time, ${laterThanAll("finish_time")})` })
      .where("id", "=", id)
      .returning(sql<Date>`finish_time`.as("time"))
      .executeTakeFirstOrThrow(),
  );
  return time;
}

const recoveryColumns = ["id", "keep_sessions", "start_time", "finish_time"] as const;

async function findNewest(db: Db): Promise<Recovery | undefined> {
  const row = await db
    .selectFrom("recoveries")
    .select(recoveryColumns)
    .orderBy("start_time", "desc")
    .limit(1)
    .executeTakeFirst();
  return row && toRecovery(row);
}

function toRecovery(row: Pick<Tables["recoveries"], (typeof recoveryColumns)[number]>): Recovery {
  return {
    id: row.id,
    keepSessions: row.keep_sessions,
    startTime: row.start_time,
    finishTime: row.finish_time ?? undefined,
  };
}

/** A project, and what a recovery finds in it. */
export interface ProjectToRecover {
  readonly project: Project;
  /** Whether the recovery has recovered it before. */
  readonly isRecovered: boolean;
  readonly revision: number;
  /** Number of signing keys that are not revoked. */
  readonly goodKeys: number;
}

/** Lists every project, disabled ones too, by id, as the recovery with `recoveryId` finds it, or a new one. */
export async function* projectsToRecover(
  db: Db,
  recoveryId: string | undefined,
): AsyncGenerator<ProjectToRecover> {
  for (let after: string | undefined = ""; after !== undefined;) {
    const { rows }: { rows: ProjectToRecoverRow[] } = await sql<ProjectToRecoverRow>`
      select ${columnsOf("p", projectColumns)}, r.revision,
        exists (select from project_recoveries d
          where d.project_id = p.id and d.recovery_id = ${recoveryId ?? null}::uuid) as is_recovered,
        (select count(*) from signing_keys k where k.project_id = p.id and k.revoke_time is null) as good_keys
      from projects p join project_revisions r on r.project_id = p.id
      where p.id > ${after} order by p.id limit 100`.execute(db);
    for (const row of rows) {
      yield {
        project: toProject(row),
        isRecovered: row.is_recovered,
        revision: row.revision,
        goodKeys: row.good_keys,
      };
    }
    after = rows.at(-1)?.id;
  }
}

interface ProjectToRecoverRow extends ProjectRow {
  readonly revision: number;
  readonly is_recovered: boolean;
  readonly good_keys: number;
}

/** A process that renewed its row of `replicas` lately. */
export interface ServingProcess {
  readonly name: string;
  /** Seconds since the renewal. */
  readonly age: number;
}

/** Seconds after which a process counts as stopped. A serving one renews its row every 500 milliseconds. */
export const presenceSeconds = 10;

/** Finds the processes that serve from the database, by its clock. */
export async function servingProcesses(db: Db): Promise<readonly ServingProcess[]> {
  const { rows } = await sql<ServingProcess>`
    select name, greatest(0, floor(extract(epoch from clock_timestamp() - renew_time)))::int as age from replicas
    where renew_time > clock_timestamp() - ${presenceSeconds} * interval '1 second' order by name`.execute(
    db,
  );
  return rows;
}
