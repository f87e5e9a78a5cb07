import { randomUUID } from "node:crypto";
import { type Kysely, sql } from "kysely";
import type { Tables } from "../schema/tables.ts";

/** Seconds after which the purge of a process that died is taken over: far longer than a batch and a rest. */
const leaseSeconds = 120;

/** Milliseconds after which a lease is worth renewing. */
const renewAfter = 10_000;

/**
 * The right to purge, which one process of the deployment has at a time, by the database's clock. What is purged is right even
 * if two had it: it only keeps them from doing the same work.
 */
export class PurgeLease {
  readonly #db: Kysely<Tables>;
  readonly #holder: string;
  #renewedAt = performance.now();

  private constructor(db: Kysely<Tables>, holder: string) {
    this.#db = db;
    this.#holder = holder;
  }

  /** Takes it, unless another process has it, or has finished less than `interval` milliseconds ago: then undefined. */
  static async take(db: Kysely<Tables>, interval: number): Promise<PurgeLease | undefined> {
    const holder = randomUUID();
    const { rows } = await sql`
      update purge_lease set holder = ${holder}, until_time = now() + ${leaseSeconds} * interval '1 second'
      where id and until_time <= now() and finish_time <= now() - ${interval} * interval '1 millisecond'
      returning id`.execute(db);
    return rows.length > 0 ? new PurgeLease(db, holder) : undefined;
  }

  /** Whether it is still held; from time to time, that it be held for longer. */
  async hold(): Promise<boolean> {
    if (performance.now() - this.#renewedAt < renewAfter) return true;
    const startedAt = performance.now();
    const { rows } = await sql`
      update purge_lease set until_time = now() + ${leaseSeconds} * interval '1 second'
      where id and holder = ${this.#holder} returning id`.execute(this.#db);
    this.#renewedAt = startedAt;
    return rows.length > 0;
  }

  /** Gives it back, to whoever comes next; `finished`: once the interval has passed. */
  async release(finished: boolean): Promise<void> {
    await sql`
      update purge_lease set holder = null, until_time = now(),
        finish_time = case when ${finished} then now() else finish_time end
      where id and holder = ${this.#holder}`.execute(this.#db);
  }
}
