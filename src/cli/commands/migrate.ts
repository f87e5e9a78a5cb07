import type { JsonValue } from "@bufbuild/protobuf";
import { migrateConfigured, pendingOf, readSchema } from "../../server/operator/migrations.ts";
import { databaseConfigOf, reaching } from "../database-command.ts";
import { CommandFailure } from "../failure.ts";
import type { Run } from "../run.ts";
import { table } from "../output/table.ts";

/** Options of `sessiond migrate`. */
export interface MigrateOptions {
  readonly dryRun?: true;
}

/**
 * Brings the schema of the configured database up to date, or with `--dry-run` only says what that would take. Replicas may
 * run meanwhile, and others may migrate: the database lets one in at a time.
 */
export async function migrate({ options, environment, output }: Run<MigrateOptions>): Promise<void> {
  const config = databaseConfigOf(environment);
  if (options.dryRun === true) {
    const pending = pendingOf(await reaching(() => readSchema(config)));
    const lines = pending.map((name) => `would apply ${name}`);
    return output.result({ pending: [...pending] }, pending.length === 0 ? upToDate : lines.join("\n"));
  }
  const applied = await reaching(() => migrateConfigured(config, (name) => output.note(`applying ${name}`)));
  const lines = applied.map((name) => `applied ${name}`);
  return output.result({ applied: [...applied] }, applied.length === 0 ? upToDate : lines.join("\n"));
}

/** Lists the migrations; fails where the schema is not the one of this version. */
export async function migrateStatus({ environment, output }: Run<unknown>): Promise<void> {
  const config = databaseConfigOf(environment);
  const { state, migrations } = await reaching(() => readSchema(config));
  const json = migrations.map(({ name, state, time }): JsonValue => ({
    name,
    state,
    ...(time === undefined ? {} : { applyTime: time.toISOString() }),
  }));
  const rows = migrations.map(({ name, state, time }) => [name, state, time?.toISOString() ?? ""]);
  await output.result({ state, migrations: json }, table(["migration", "state", "applied"], rows));
  if (state === "newer") throw new CommandFailure("the schema is newer than this version of sessiond");
  if (state === "pending") {
    throw new CommandFailure("migrations are pending: `sessiond migrate` applies them");
  }
}

const upToDate = "the schema is up to date";
