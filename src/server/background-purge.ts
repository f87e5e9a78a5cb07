import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { Clock } from "../domain/clock.ts";
import { type PurgeOptions, nothingPurged, purge, sumOf } from "../storage/purge/purge.ts";
import type { Tables } from "../storage/schema/tables.ts";
import { describeFault } from "./observability/log.ts";

export interface BackgroundPurgeOptions extends Pick<PurgeOptions, "retentionMs" | "now"> {
  /** A pool that serves no calls. */
  readonly db: Kysely<Tables>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called after each batch with what it purged. */
  readonly onPurged: PurgeOptions["onBatch"] | undefined;
}

/** Time from the end of one purge of the deployment to the start of the next. */
const intervalMs = 3_600_000;

/** Time between a replica's attempts to start a purge. */
const attemptIntervalMs = 600_000;

/** Pause after each batch, as a multiple of its duration: purging uses at most 1/6 of one connection. */
const pauseFactor = 5;

/**
 * Purges the deployment at intervals; the database's lease lets one process at a time do so. An unfinished purge is continued
 * by the next attempt, on any replica. Resolves after the current batch once the signal is aborted. Never rejects.
 */
export async function purgeInBackground(options: BackgroundPurgeOptions, signal: AbortSignal): Promise<void> {
  // Random, so that replicas that were started together do not all try at the same moment.
  for (let waitMs = Math.random() * attemptIntervalMs; ; waitMs = attemptIntervalMs) {
    await sleep(options.clock, waitMs, signal);
    if (signal.aborted) return;
    await purgeOnce(options, signal);
  }
}

async function purgeOnce(options: BackgroundPurgeOptions, signal: AbortSignal): Promise<void> {
  const { db, retentionMs, now, clock, log, onPurged } = options;
  let total = nothingPurged;
  try {
    const outcome = await purge(db, {
      retentionMs,
      now,
      intervalMs,
      dryRun: false,
      signal,
      rest: (tookMs) => sleep(clock, pauseFactor * tookMs, signal),
      onBatch: (purged) => {
        total = sumOf(total, purged);
        onPurged?.(purged);
      },
    });
    if (outcome !== "not now") log.info({ ...total, outcome }, "purge");
  } catch (error) {
    log.warn({ ...total, fault: describeFault(error) }, "purge failed; it will be tried again");
  }
}

/** Resolves after `ms`, or when the signal is aborted. Unlike node:timers/promises, it follows a clock that tests replace. */
async function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = () => resolve();
  const cancel = clock.after(ms, done);
  signal.addEventListener("abort", done);
  await promise;
  cancel();
  signal.removeEventListener("abort", done);
}
