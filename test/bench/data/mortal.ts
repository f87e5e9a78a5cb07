import { type Bench, databaseUrl, execute } from "../bench.ts";
import type { StoredProject } from "./stored-project.ts";

/** More calls a second than anything here makes. */
const mostPerSecond = 50_000;

/**
 * Sees to it that there are sessions left to revoke, for so many calls or for those of one round: where there are not, those
 * that were revoked live again.
 */
export async function keepMortal(bench: Bench, stored: StoredProject, calls?: number): Promise<void> {
  const { seconds, warmUpSeconds } = bench.extent;
  const { mortal, database } = stored;
  const needed = calls ?? Math.ceil((seconds + warmUpSeconds) * mostPerSecond);
  if (mortal.count - mortal.used >= needed) return;
  await checkRevoked(bench, stored);
  const url = databaseUrl(bench, database);
  await execute(url, "update sessions set revoked_revision = null where revoked_revision is not null");
  await execute(url, "vacuum analyze sessions");
  await execute(url, "checkpoint");
  mortal.reset();
  bench.say("sessions that were revoked live again");
}

/** Fails unless the database has a revoked session for each call that was to revoke one; says how many. */
export async function checkRevoked(bench: Bench, { database, mortal }: StoredProject): Promise<number> {
  const [row] = await execute<{ count: string }>(
    databaseUrl(bench, database),
    "select count(*) from sessions where revoked_revision is not null",
  );
  const revoked = Number(row?.count);
  if (revoked !== mortal.used) throw new Error(`${mortal.used} calls revoked ${revoked} sessions`);
  return revoked;
}
