import type { JsonValue } from "@bufbuild/protobuf";
import { type DatabaseConfig, readDatabaseConfig } from "../../server/config/config.ts";
import {
  migrateConfigured,
  pendingMigrations,
  purgeConfigured,
  readSchema,
} from "../../server/operator/maintenance.ts";
import { DatabaseUnreachable } from "../../server/operator/operator-database.ts";
import { SlowWait } from "../../server/operator/slow-wait.ts";
import { CommandFailure, errorText, exitCodes, usageFailure } from "../output/failure.ts";
import { pairs, table } from "../output/table.ts";
import type { Run } from "../run/command.ts";
import { interruptSignal } from "../run/terminal.ts";

type MigrateRun = Run<{ readonly dryRun: true | undefined }>;
type PurgeRun = Run<{ readonly dryRun: true | undefined; readonly retentionDays: string | undefined }>;

/** Applies pending migrations, or with `--dry-run` lists them. Other migrations at the same time wait for each other. */
export async function migrate({ options, environment, output }: MigrateRun): Promise<void> {
  const dryRun = options.dryRun === true;
  const verb = dryRun ? "would apply" : "applied";
  const wait = new SlowWait((cause) => output.note(`waits for ${cause}`));
  const names = await withDatabase(environment, async (config) =>
    dryRun
      ? pendingMigrations(config)
      : migrateConfigured(config, {
          onStart: (name) => output.note(`applying ${name}`),
          onBuild: (index) => output.note(`building the index ${index}`),
          onWait: (cause) => wait.for(cause),
        }),
  ).finally(() => wait.end());
  const text = names.map((name) => `${verb} ${name}`).join("\n") || "the schema is up to date";
  await output.result({ [dryRun ? "pending" : "applied"]: [...names] }, text);
}

/** Lists the migrations. Fails unless the schema is that of this version. */
export async function migrateStatus({ environment, output }: Run<unknown>): Promise<void> {
  const { state, migrations } = await withDatabase(environment, readSchema);
  const json = migrations.map(({ name, state, time }): JsonValue => ({
    name,
    state,
    ...(time === undefined ? {} : { applyTime: time.toISOString() }),
  }));
  const text = table<(typeof migrations)[number]>(
    {
      migration: ({ name }) => name,
      state: ({ state }) => state,
      applied: ({ time }) => time?.toISOString() ?? "",
    },
    migrations,
  );
  await output.result({ state, migrations: json }, text);
  if (state === "newer") throw new CommandFailure("the schema is newer than this version of sessiond");
  if (state === "pending") {
    throw new CommandFailure("migrations are pending: `sessiond migrate` applies them");
  }
}

const progressIntervalMs = 2000;

/**
 * Deletes what ended longer ago than the retention, as `serve` does in the background; with `--dry-run` only counts it. If it
 * is interrupted, it ends after the current batch and reports what it deleted.
 */
export async function purge({ options, environment, output }: PurgeRun): Promise<void> {
  const dryRun = options.dryRun === true;
  const verb = dryRun ? "would purge" : "purged";
  let notedAt = performance.now();
  const { outcome, total } = await withDatabase(environment, (config) =>
    purgeConfigured(
      { ...config, retentionMs: parseRetention(options.retentionDays, config.retentionMs) },
      {
        dryRun,
        signal: interruptSignal(),
        onProgress: ({ sessions, revocations }) => {
          if (performance.now() - notedAt < progressIntervalMs) return;
          notedAt = performance.now();
          output.note(`${verb} ${sessions} sessions and ${revocations} revocations so far`);
        },
      },
    ),
  );
  if (outcome === "not now") {
    throw new CommandFailure("another purge is running: nothing was deleted; try again later");
  }
  const counts = Object.entries(total).map(([name, count]) => [`${verb} ${name}`, String(count)]);
  await output.result({ dryRun, ...total }, pairs(Object.fromEntries(counts)));
  if (outcome === "interrupted") throw new CommandFailure("interrupted: the purge is not complete");
}

const dayMs = 86_400_000;
const maxDays = 3650;

function parseRetention(retentionDays: string | undefined, configuredMs: number): number {
  if (retentionDays !== undefined) {
    const days = Number(retentionDays);
    if (/^\d+$/.test(retentionDays) && days >= 1 && days <= maxDays) return days * dayMs;
    throw usageFailure(`--retention-days must be a whole number of days from 1 to ${maxDays}`);
  }
  if (configuredMs > 0) return configuredMs;
  throw usageFailure("SESSIOND_RETENTION_DAYS is 0, so nothing is ever purged: set --retention-days");
}

/** Runs `use` with the configured database. A database that does not answer has its own exit status. */
export async function withDatabase<T>(
  environment: NodeJS.ProcessEnv,
  use: (config: DatabaseConfig) => Promise<T>,
): Promise<T> {
  const read = readDatabaseConfig(environment);
  if ("problems" in read) throw wrongConfiguration(read.problems);
  try {
    return await use(read.config);
  } catch (error) {
    if (!(error instanceof DatabaseUnreachable)) throw error;
    throw new CommandFailure(errorText(error), { exitCode: exitCodes.unavailable });
  }
}

export function wrongConfiguration(problems: readonly string[]): CommandFailure {
  return new CommandFailure(
    `the configuration is wrong:\n${problems.map((problem) => `  ${problem}`).join("\n")}`,
  );
}
