import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { Db } from "../schema/tables.ts";

/** Seconds after which another process takes over the purge of one that died: far longer than a batch and a rest. */
const leaseSeconds = 120;

/** Milliseconds after which the lease is renewed. */
const renewAfter = 10_000;

/**
 * The right to purge, which one process of the deployment has at a time, by the database's clock. Two holders would do no harm;
 * the lease only avoids duplicate work.
 */
export class PurgeLease {
  readonly #db: Db;
  readonly #holder: string;
  #renewedAt = performance.now();

  private constructor(db: Db, holder: string) {
    this.#db = db;
    this.#holder = holder;
  }

  /** Undefined if another process has the lease, or finished less than `interval` milliseconds ago. */
  static async take(db: Db, interval: number): Promise<PurgeLease | undefined> {
    const holder = randomUUID();
    const { rows } = await sql`
      update purge_lease set holder = ${holder}, until_time = now() + ${leaseSeconds} * interval '1 second'
      where id and until_time <= now() and finish_time <= now() - ${interval} * interval '1 millisecond'
      returning id`.execute(db);
    return rows.length > 0 ? new PurgeLease(db, holder) : undefined;
  }

  /** Whether the lease is still held. Renews it from time to time. */
  async hold(): Promise<boolean> {
    if (performance.now() - this.#renewedAt < renewAfter) return true;
    const startedAt = performance.now();
    const { rows } = await sql`
      update purge_lease set until_time = now() + ${leaseSeconds} * interval '1 second'
      where id and holder = ${this.#holder} returning id`.execute(this.#db);
    this.#renewedAt = startedAt;
    return rows.length > 0;
  }

  /** Releases the lease. If the purge `finished`, the next one waits for the interval. */
  async release(finished: boolean): Promise<void> {
    await sql`
      update purge_lease set holder = null, until_time = now(),
        finish_time = case when ${finished} then now() else finish_time end
      where id and holder = ${this.#holder}`.execute(this.#db);
  }
}
