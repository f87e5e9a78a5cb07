import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { Clock } from "../../domain/clock.ts";
import { type Purged, nothingPurged, purge, sumOf } from "../../storage/purge/purge.ts";
import type { Tables } from "../../storage/schema/tables.ts";
import { describeFault } from "../observability/call-log.ts";

/** How a replica purges. */
export interface PurgingOptions {
  /** Connections that serve no calls. */
  readonly db: Kysely<Tables>;
  /** How long ago what is purged ended, in milliseconds. */
  readonly retentionMs: number;
  readonly now: () => Date;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told of each batch what it purged. */
  readonly onPurged: ((purged: Purged) => void) | undefined;
}

/** Milliseconds from the end of one purge of the deployment to the start of the next. */
const intervalMs = 3_600_000;

/** Milliseconds after which a replica looks whether it is time, and nobody else is at it. */
const lookIntervalMs = 600_000;

/** A purge rests so many times as long as its batch took: it has a sixth of one connection's time. */
const restShare = 5;

/**
 * Purges from time to time, for as long as no other process of the deployment does, until the signal is given: it resolves when
 * the batch that runs then has ended. Whoever looks next goes on. Never rejects.
 */
export async function keepPurging(options: PurgingOptions, signal: AbortSignal): Promise<void> {
  // Replicas that were started together need not look together.
  for (let wait = Math.random() * lookIntervalMs; ; wait = lookIntervalMs) {
    await pause(options.clock, wait, signal);
    if (signal.aborted) return;
    await purgeOnce(options, signal);
  }
}

async function purgeOnce(options: PurgingOptions, signal: AbortSignal): Promise<void> {
  const { db, retentionMs, now, clock, log, onPurged } = options;
  let total = nothingPurged;
  try {
    const outcome = await purge(db, {
      retentionMs,
      now,
      intervalMs,
      dryRun: false,
      signal,
      rest: (took) => pause(clock, restShare * took, signal),
      onBatch: (purged) => {
        total = sumOf(total, purged);
        onPurged?.(purged);
      },
    });
    if (outcome !== "not now") log.info({ ...total, outcome }, "purge");
  } catch (error) {
    log.warn({ ...total, fault: describeFault(error) }, "purge failed; it is tried again");
  }
}

/** Resolves after `ms`, or when the signal is given. */
async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal.addEventListener("abort", done);
  });
}
