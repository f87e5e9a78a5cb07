import { setTimeout as delay } from "node:timers/promises";
import { migrationStates } from "../../storage/schema/migrate.ts";
import { type PurgeOutcome, type Purged, nothingPurged, purge, sumOf } from "../../storage/purge/purge.ts";
import type { DatabaseConfig } from "../config/config.ts";
import { withOperatorDatabase } from "./operator-database.ts";
import { pendingOf, schemaOf } from "./migrations.ts";

export interface OperatorPurgeOptions {
  readonly dryRun: boolean;
  /** Called after each batch with everything purged so far. */
  readonly onProgress: (total: Purged) => void;
  /** Ends the purge after the current batch. */
  readonly signal: AbortSignal;
}

export interface OperatorPurge {
  readonly outcome: PurgeOutcome;
  readonly total: Purged;
}

/**
 * Purges the configured database, pausing after each batch for as long as the batch took. With `dryRun` it only counts. An
 * embedded database that does not exist yet counts as empty. Throws DatabaseUnreachable.
 */
export async function purgeConfigured(
  config: DatabaseConfig,
  { dryRun, onProgress, signal }: OperatorPurgeOptions,
): Promise<OperatorPurge> {
  let total = nothingPurged;
  const outcome = await withOperatorDatabase(config, { create: false }, async (db) => {
    const pending = pendingOf(schemaOf(await migrationStates(db)));
    if (pending.length > 0) throw new Error("migrations are pending: `sessiond migrate` applies them");
    return purge(db, {
      retentionMs: config.retentionMs,
      now: () => new Date(),
      intervalMs: 0,
      dryRun,
      signal,
      rest: (took) => delay(took, undefined, { signal }).catch(() => undefined),
      onBatch: (purged) => {
        total = sumOf(total, purged);
        onProgress(total);
      },
    });
  });
  return { outcome: outcome ?? "finished", total };
}
