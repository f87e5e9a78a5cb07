import type { Kysely } from "kysely";
import {
  type PurgeOptions,
  type PurgeOutcome,
  type Purged,
  nothingPurged,
  purge,
  sumOf,
} from "../../src/storage/purge/purge.ts";
import type { Tables } from "../../src/storage/tables.ts";

/** Milliseconds of a day. */
export const day = 86_400_000;

/** How long tests retain what has ended. */
export const retention = 10 * day;

/** Purges at `time`, without a rest; with what differs. Answers with how it went and what went. */
export async function purgeAt(
  db: Kysely<Tables>,
  time: Date,
  overrides: Partial<PurgeOptions> = {},
): Promise<Purged & { readonly outcome: PurgeOutcome }> {
  let total = nothingPurged;
  const outcome = await purge(db, {
    retention,
    now: () => time,
    interval: 0,
    dryRun: false,
    rest: async () => undefined,
    signal: new AbortController().signal,
    ...overrides,
    onBatch: (purged) => {
      total = sumOf(total, purged);
      overrides.onBatch?.(purged);
    },
  });
  return { outcome, ...total };
}
