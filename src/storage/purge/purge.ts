import { type Kysely, sql } from "kysely";
import type { ProjectId } from "../../domain/ids.ts";
import { readClockOffset } from "../connection/database-facts.ts";
import type { Tables } from "../schema/tables.ts";
import { withDatabaseErrors } from "../connection/database-errors.ts";
import { horizonOf } from "./horizon.ts";
import { PurgeLease } from "./lease.ts";
import { purgeLog } from "./log-batch.ts";
import { firstSession, purgeSessions } from "./session-batch.ts";

/** How many rows of each kind were purged. */
export interface Purged {
  readonly sessions: number;
  readonly tokens: number;
  readonly revocations: number;
  readonly cutoffs: number;
}

/** Nothing. */
export const nothingPurged: Purged = { sessions: 0, tokens: 0, revocations: 0, cutoffs: 0 };

/** Both together. */
export function sumOf(a: Purged, b: Purged): Purged {
  return {
    sessions: a.sessions + b.sessions,
    tokens: a.tokens + b.tokens,
    revocations: a.revocations + b.revocations,
    cutoffs: a.cutoffs + b.cutoffs,
  };
}

/** How to purge; times in milliseconds. */
export interface PurgeOptions {
  /** How long ago what is purged ended. */
  readonly retentionMs: number;
  readonly now: () => Date;
  /** Nothing is done where a purge has finished less than this ago. */
  readonly intervalMs: number;
  /** Only count. */
  readonly dryRun: boolean;
  /** Called after each batch with how long it took; the next one waits for it. Ends early where the signal is given. */
  readonly rest: (took: number) => Promise<void>;
  /** Told of each batch what it purged. */
  readonly onBatch: (purged: Purged) => void;
  /** Ends the purge after the batch that runs. */
  readonly signal: AbortSignal;
  /** How many rows a batch looks at; 500 unless a test says otherwise. */
  readonly batchSize?: number;
}

/**
 * How a purge went: everything was looked at; the signal, or another process, ended it before; another process is at it; or one
 * has finished not long ago.
 */
export type PurgeOutcome = "finished" | "interrupted" | "not now";

/** Small enough to take milliseconds. */
const defaultBatchSize = 500;

/** Milliseconds by which this machine's clock may be ahead of the database's. */
const maxClockAhead = 60_000;

/**
 * Deletes, of all projects, sessions that ended longer than `retentionMs` ago, with their tokens, and then what the log and the
 * cutoffs say of such sessions alone. In small batches, each a statement that commits by itself, with a rest after each; by one
 * process of the deployment at a time. What a purge that was ended early has left, the next one finds. Fails with
 * DATABASE_UNAVAILABLE, and where this machine's clock is ahead of the database's: it would delete what is to be kept.
 */
export async function purge(db: Kysely<Tables>, options: PurgeOptions): Promise<PurgeOutcome> {
  return withDatabaseErrors(async () => {
    await requireClock(db);
    if (options.dryRun) return purgeProjects(db, async () => true, options);
    const lease = await PurgeLease.take(db, options.intervalMs);
    if (lease === undefined) return "not now";
    let outcome: PurgeOutcome = "interrupted";
    try {
      return (outcome = await purgeProjects(db, () => lease.hold(), options));
    } finally {
      // Where that fails too, it runs out by itself.
      await lease.release(outcome === "finished").catch(() => undefined);
    }
  });
}

async function requireClock(db: Kysely<Tables>): Promise<void> {
  const { offset, uncertainty } = await readClockOffset(db);
  const ahead = -offset - uncertainty;
  if (ahead > maxClockAhead) {
    throw new Error(
      `this machine's clock is ${Math.round(ahead / 1000)} seconds ahead of the database's: nothing is purged, lest it be too early`,
    );
  }
}

/** Runs one batch; fails with {@link Interrupted} where it is not to run. */
type RunBatch = <Batch>(batch: () => Promise<Batch>, countOf: (batch: Batch) => Purged) => Promise<Batch>;

/** Ends a purge between two batches. */
class Interrupted extends Error {}

async function purgeProjects(
  db: Kysely<Tables>,
  mayGoOn: () => Promise<boolean>,
  options: PurgeOptions,
): Promise<PurgeOutcome> {
  const { signal, rest, onBatch } = options;
  const run: RunBatch = async (batch, countOf) => {
    if (signal.aborted || !(await mayGoOn())) throw new Interrupted();
    const startedAt = performance.now();
    const done = await batch();
    onBatch(countOf(done));
    await rest(performance.now() - startedAt);
    return done;
  };
  try {
    for await (const projectId of projectIds(db)) await purgeProject(db, projectId, run, options);
    return "finished";
  } catch (error) {
    if (error instanceof Interrupted) return "interrupted";
    throw error;
  }
}

/** Every project, disabled ones too. By projects' primary key. */
async function* projectIds(db: Kysely<Tables>): AsyncGenerator<ProjectId> {
  for (let after: string | undefined = ""; after !== undefined;) {
    const { rows }: { rows: { id: ProjectId }[] } = await sql<{ id: ProjectId }>`
      select id from projects where id > ${after} order by id limit 100`.execute(db);
    for (const { id } of rows) yield id;
    after = rows.at(-1)?.id;
  }
}

/** The log last, and only once no session needs what goes: it says how each session ended. */
async function purgeProject(
  db: Kysely<Tables>,
  projectId: ProjectId,
  run: RunBatch,
  { now, retentionMs, dryRun, batchSize: size = defaultBatchSize }: PurgeOptions,
): Promise<void> {
  const horizon = await horizonOf(db, projectId, new Date(now().getTime() - retentionMs));
  let passedOver = 0;
  await walk(firstSession, async (after) => {
    const batch = await run(
      () => purgeSessions(db, horizon, after, size, dryRun),
      ({ sessions, tokens }) => ({ ...nothingPurged, sessions, tokens }),
    );
    passedOver += batch.passedOver;
    return batch.next;
  });
  if (passedOver > 0 || horizon.revision === 0) return;
  await walk(0, async (after) => {
    const batch = await run(
      () => purgeLog(db, horizon, after, size, now(), dryRun),
      ({ revocations, cutoffs }) => ({ ...nothingPurged, revocations, cutoffs }),
    );
    return batch.next;
  });
}

/** From place to place, as each step says. */
async function walk<Place>(first: Place, step: (after: Place) => Promise<Place | undefined>): Promise<void> {
  for (let after: Place | undefined = first; after !== undefined;) after = await step(after);
}
