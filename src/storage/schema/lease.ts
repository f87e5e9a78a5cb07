import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { type RawBuilder, sql } from "kysely";
import type { Db } from "./tables.ts";

export interface LeaseOptions {
  /** How long the lease lasts without a renewal, in seconds: far longer than a step of the work. */
  readonly seconds: number;
  /** Not taken if the work finished less than this ago, in milliseconds. */
  readonly intervalMs: number;
}

/**
 * The right to do some work, such as the purge, which one process of the deployment has at a time, by the database's clock. A
 * process that dies loses it when it expires.
 */
export class Lease {
  readonly #db: Db;
  readonly #name: string;
  readonly #holder: string;
  readonly #seconds: number;
  #renewedAt = performance.now();

  private constructor(db: Db, name: string, holder: string, seconds: number) {
    this.#db = db;
    this.#name = name;
    this.#holder = holder;
    this.#seconds = seconds;
  }

  /** Undefined if another process has the lease, or the work was finished recently. */
  static async take(db: Db, name: string, { seconds, intervalMs }: LeaseOptions): Promise<Lease | undefined> {
    const holder = `${hostname()}:${process.pid} ${randomUUID()}`;
    const rows = await write(
      db,
      sql`insert into leases as l (name, holder, until_time, finish_time)
        values (${name}, ${holder}, now() + ${seconds} * interval '1 second', '-infinity')
        on conflict (name) do update set holder = excluded.holder, until_time = excluded.until_time
        where l.until_time <= now() and l.finish_time <= now() - ${intervalMs} * interval '1 millisecond'
        returning name`,
    );
    return rows.length > 0 ? new Lease(db, name, holder, seconds) : undefined;
  }

  /** Whether the lease is still held. Renews it from time to time. */
  async hold(): Promise<boolean> {
    if (performance.now() - this.#renewedAt < (this.#seconds * 1000) / 12) return true;
    const startedAt = performance.now();
    const rows = await write(
      this.#db,
      sql`update leases set until_time = now() + ${this.#seconds} * interval '1 second'
        where name = ${this.#name} and holder = ${this.#holder} returning name`,
    );
    this.#renewedAt = startedAt;
    return rows.length > 0;
  }

  /**
   * Runs one step of work that takes long, and renews the lease meanwhile; the pool needs a connection for that. The work must
   * bear that a lease is lost nevertheless, because this process or its path to the database may stand still.
   */
  async holdDuring<T>(work: () => Promise<T>): Promise<T> {
    // A renewal that fails is repeated by the next one.
    const renew = () => void this.hold().catch(() => undefined);
    const timer = setInterval(renew, (this.#seconds * 1000) / 10);
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  }

  /** Releases the lease. If the work is `finished`, the next holder waits for its interval. */
  async release(finished: boolean): Promise<void> {
    await write(
      this.#db,
      sql`update leases set holder = null, until_time = now(),
          finish_time = case when ${finished} then now() else finish_time end
        where name = ${this.#name} and holder = ${this.#holder}`,
    );
  }
}

export interface HeldLease {
  readonly name: string;
  /** Host and process id. */
  readonly process: string;
  readonly untilTime: Date;
}

/** The leases that processes hold. */
export async function heldLeases(db: Db): Promise<readonly HeldLease[]> {
  const { rows } = await sql<HeldLease>`
    select name, split_part(holder, ' ', 1) as process, until_time as "untilTime" from leases
    where holder is not null and until_time > now() order by name`.execute(db);
  return rows;
}

/** In a transaction, which sets all that it depends on: defaults of the role may be anything, such as read-only. */
async function write(db: Db, statement: RawBuilder<unknown>): Promise<readonly unknown[]> {
  return db.transaction().execute(async (transaction) => (await statement.execute(transaction)).rows);
}
