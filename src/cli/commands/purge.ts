import { type OperatorPurge, purgeConfigured } from "../../server/operator/purge.ts";
import { databaseConfigOf, reaching } from "../database-command.ts";
import { CommandFailure, usageFailure } from "../failure.ts";
import { interruption } from "../interruption.ts";
import type { Run } from "../run.ts";
import { pairs } from "../output/table.ts";

/** Options of `sessiond purge`. */
export interface PurgeOptions {
  readonly dryRun?: true;
  readonly retentionDays?: string;
}

/** Milliseconds between two words on how it goes. */
const wordInterval = 2000;

/**
 * Deletes what ended longer ago than retention, as `serve` does by itself; with `--dry-run` only says how much that is. An
 * interrupted one ends after its batch, and says what it did.
 */
export async function purge({ options, environment, output }: Run<PurgeOptions>): Promise<void> {
  const dryRun = options.dryRun === true;
  const config = databaseConfigOf(environment);
  const retentionMs = retentionOf(options, config.retentionMs);
  const verb = dryRun ? "would purge" : "purged";
  let saidAt = performance.now();
  const { outcome, total } = await reaching(() =>
    purgeConfigured(
      { ...config, retentionMs },
      {
        dryRun,
        signal: interruption(),
        onProgress: (soFar) => {
          if (performance.now() - saidAt < wordInterval) return;
          saidAt = performance.now();
          output.note(`${verb} ${soFar.sessions} sessions and ${soFar.revocations} revocations so far`);
        },
      },
    ),
  );
  if (outcome === "not now") {
    throw new CommandFailure("somebody else is purging: nothing was done; try again later");
  }
  await output.result({ dryRun, ...total }, linesOf(verb, total));
  if (outcome === "interrupted") throw new CommandFailure("ended before everything was looked at");
}

const day = 86_400_000;
const maxDays = 3650;

/** The option before the variable. */
function retentionOf({ retentionDays }: PurgeOptions, configured: number): number {
  if (retentionDays !== undefined) {
    const days = Number(retentionDays);
    if (/^\d+$/.test(retentionDays) && days >= 1 && days <= maxDays) return days * day;
    throw usageFailure(`--retention-days must be a whole number of days from 1 to ${maxDays}`);
  }
  if (configured > 0) return configured;
  throw usageFailure(
    "SESSIOND_RETENTION_DAYS is 0, so nothing is ever purged: --retention-days says otherwise",
  );
}

function linesOf(verb: string, { sessions, tokens, revocations, cutoffs }: OperatorPurge["total"]): string {
  return pairs([
    [`${verb} sessions`, String(sessions)],
    [`${verb} tokens`, String(tokens)],
    [`${verb} revocations`, String(revocations)],
    [`${verb} cutoffs`, String(cutoffs)],
  ]);
}
