import { sql } from "kysely";
import type { ProjectId } from "../../domain/ids.ts";
import { Lease } from "../schema/lease.ts";
import type { Db } from "../schema/tables.ts";
import { readDatabaseTime } from "../connection/database-facts.ts";
import { withDatabaseErrors } from "../connection/database-errors.ts";
import { type Horizon, horizonOf } from "./horizon.ts";
import { purgeLog } from "./log-batch.ts";
import { purgeRequests } from "./request-batch.ts";
import { firstSession, purgeSessions } from "./session-batch.ts";

export interface Purged {
  readonly sessions: number;
  readonly tokens: number;
  readonly revocations: number;
  readonly cutoffs: number;
}

export const nothingPurged: Purged = { sessions: 0, tokens: 0, revocations: 0, cutoffs: 0 };

export function sumOf(a: Purged, b: Purged): Purged {
  return {
    sessions: a.sessions + b.sessions,
    tokens: a.tokens + b.tokens,
    revocations: a.revocations + b.revocations,
    cutoffs: a.cutoffs + b.cutoffs,
  };
}

/** Options of {@link purge}; times are in milliseconds. */
export interface PurgeOptions {
  /** Sessions are purged this long after their end; undefined keeps them. */
  readonly retentionMs: number | undefined;
  /** Replaces the database's clock in tests. */
  readonly now?: (() => Date) | undefined;
  /** Does nothing if a purge finished less than this ago. */
  readonly intervalMs: number;
  readonly dryRun: boolean;
  /** Called after each batch with its duration; the next batch waits for it. */
  readonly rest: (took: number) => Promise<void>;
  readonly onBatch: (purged: Purged) => void;
  /** Ends the purge after the current batch. */
  readonly signal: AbortSignal;
  /** How many rows a batch reads; 500 by default. */
  readonly batchSize?: number;
}

/** "interrupted" by the signal or another process; "not now" if another process purges, or has finished recently. */
export type PurgeOutcome = "finished" | "interrupted" | "not now";

/** Seconds after which another process takes over the purge of one that died: far longer than a batch and a rest. */
const leaseSeconds = 120;

/** Small enough that a batch takes milliseconds. */
const defaultBatchSize = 500;

/**
 * Deletes sessions of all projects that ended longer than `retentionMs` ago, with their tokens, and then revocations and cutoffs
 * that no session needs any more. Also deletes creation requests that cannot be repeated any more, which are not counted. Runs in
 * small batches, each a transaction, with a rest after each, in one process of the deployment at a time. The next purge continues
 * an interrupted one. Only the database's clock counts, so that no machine whose clock is ahead deletes too much. Fails with
 * DATABASE_UNAVAILABLE.
 */
export async function purge(db: Db, options: PurgeOptions): Promise<PurgeOutcome> {
  return withDatabaseErrors(async () => {
    if (options.dryRun) return purgeProjects(db, async () => true, options);
    const lease = await Lease.take(db, "purge", { seconds: leaseSeconds, intervalMs: options.intervalMs });
    if (lease === undefined) return "not now";
    let outcome: PurgeOutcome = "interrupted";
    try {
      return (outcome = await purgeProjects(db, () => lease.hold(), options));
    } finally {
      // If this fails too, the lease expires.
      await lease.release(outcome === "finished").catch(() => undefined);
    }
  });
}

/** Runs one batch; fails with {@link Interrupted} if the purge must end. */
type RunBatch = <Batch>(batch: () => Promise<Batch>, countOf: (batch: Batch) => Purged) => Promise<Batch>;

class Interrupted extends Error {}

async function purgeProjects(db: Db, mayGoOn: () => Promise<boolean>, options: PurgeOptions) {
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

/** All projects, including disabled ones. By projects' primary key. */
async function* projectIds(db: Db): AsyncGenerator<ProjectId> {
  for (let after: string | undefined = ""; after !== undefined;) {
    const { rows }: { rows: { id: ProjectId }[] } = await sql<{ id: ProjectId }>`
      select id from projects where id > ${after} order by id limit 100`.execute(db);
    for (const { id } of rows) yield id;
    after = rows.at(-1)?.id;
  }
}

async function purgeProject(db: Db, projectId: ProjectId, run: RunBatch, options: PurgeOptions) {
  const { now, retentionMs, dryRun, batchSize: size = defaultBatchSize } = options;
  if (retentionMs !== undefined) {
    const time = now?.() ?? (await readDatabaseTime(db));
    const horizon = await horizonOf(db, projectId, new Date(time.getTime() - retentionMs));
    await purgeEnded(db, horizon, time, run, options);
  }
  if (dryRun) return;
  await walk("", async (after) => {
    const batch = await run(
      () => purgeRequests(db, projectId, after, size),
      () => nothingPurged,
    );
    return batch.next;
  });
}

/** Purges the log last, and only if no session needs its revocations, which say how each session ended. */
async function purgeEnded(
  db: Db,
  horizon: Horizon,
  time: Date,
  run: RunBatch,
  { dryRun, batchSize: size = defaultBatchSize }: PurgeOptions,
): Promise<void> {
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
      () => purgeLog(db, horizon, after, size, time, dryRun),
      ({ revocations, cutoffs }) => ({ ...nothingPurged, revocations, cutoffs }),
    );
    return batch.next;
  });
}

/** Runs steps, each from the place that the one before returned. */
async function walk<Place>(first: Place, step: (after: Place) => Promise<Place | undefined>): Promise<void> {
  for (let after: Place | undefined = first; after !== undefined;) after = await step(after);
}
