import type { Kysely } from "kysely";
import { type Migrations, migrateToLatest, migrationStates, migrations } from "./migrate.ts";
import { readNeeds } from "./schema-needs.ts";
import type { Tables } from "./tables.ts";

/**
 * Makes the schema fit to serve on, for a replica that starts: brings it to the newest version, as {@link migrateToLatest} does.
 * One that is newer than this code is left as it is where those who made it said that this code may go on serving, as while a
 * release is rolled out or back; then `newer` is the first migration that this code does not know. Throws, in words, otherwise.
 */
export async function makeServable(
  db: Kysely<Tables>,
  all: Migrations = migrations,
): Promise<{ readonly applied: readonly string[]; readonly newer: string | undefined }> {
  const newer = await servedThoughNewer(db, all);
  if (newer !== undefined) return { applied: [], newer };
  return { applied: await migrateToLatest(db, () => undefined, all), newer: undefined };
}

/** The first migration that this code does not know, where the schema is newer and this code may serve on it all the same. */
export async function servedThoughNewer(
  db: Kysely<Tables>,
  all: Migrations = migrations,
): Promise<string | undefined> {
  const states = await migrationStates(db, all);
  if (states.some(({ state }) => state === "pending")) return undefined;
  const newer = states.filter(({ state }) => state === "unknown").map(({ name }) => name);
  if (newer.length === 0) return undefined;
  const needs = await readNeeds(db);
  return newer.every((name) => (needs.get(name) ?? "nothing said") in all) ? newer[0] : undefined;
}
