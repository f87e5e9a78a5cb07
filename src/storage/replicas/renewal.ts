import { Client, DatabaseError } from "pg";
import { DatabaseFailure } from "../connection/database-errors.ts";
import { standby } from "../connection/session.ts";
import { leaseMs } from "./lease.ts";

/** The process whose row is renewed. */
export interface ReplicaIdentity {
  readonly id: string;
  /** For operators. */
  readonly name: string;
}

/** What the database says with a renewal. */
export interface Renewal {
  /** The database's clock, in milliseconds since 1970. */
  readonly timeMs: number;
  /** Undefined if the database has none. */
  readonly timeline: number | undefined;
  /** Identifies the database with all its standbys; undefined if it cannot be read. */
  readonly system: string | undefined;
  /** Whether commits wait for synchronous standbys. */
  readonly isSynchronous: boolean;
  /** The newest run of `sessiond recover` that has finished. */
  readonly recoveryId: string | undefined;
  /** Whether other processes renewed a lease lately on an older timeline. */
  readonly hasOlderLeases: boolean;
}

/** A connection that renews the row of this process. */
export interface RenewalConnection {
  open(): Promise<void>;
  /** Renews the row. `onWritten` is called before the commit, which may take long. Rejects if the commit is not confirmed. */
  renew(onWritten: (renewal: Renewal) => void): Promise<Renewal>;
  /** Deletes the row, so that others do not wait for this process. */
  remove(): Promise<void>;
  /** Closes the connection at once. What runs on it rejects. */
  destroy(): void;
}

/** How to reach the servers of the database. */
export interface RenewalServers {
  readonly hosts: readonly string[];
  /** A connection that is not open yet. */
  connectionTo(host: string): RenewalConnection;
}

/** Expressions that not every database with Postgres's protocol has, or allows. */
const timeline = "('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int";
const system = "(select system_identifier from pg_control_system())";

/** SQLSTATEs: no such function, not supported, not permitted. */
const lacking = new Set(["42883", "0A000", "42501"]);

/**
 * How long ago a row of an older timeline may have been renewed to be a lease, in seconds: the clocks of two servers may differ
 * by 30 s.
 */
const oldestLease = 60;

/** How long rows of processes that have ended are kept, for operators. */
const kept = "1 day";

const beginWrite = "begin isolation level read committed read write not deferrable";

const begin = [
  beginWrite,
  "set local synchronous_commit = on",
  "set local client_min_messages = warning",
  "set local lock_timeout = 0",
  `set local statement_timeout = ${leaseMs}`,
  `set local idle_in_transaction_session_timeout = ${leaseMs}`,
].join("; ");

export class PostgresRenewals implements RenewalServers {
  readonly hosts: readonly string[];
  readonly #replica: ReplicaIdentity;

  constructor(hosts: readonly string[], replica: ReplicaIdentity) {
    this.hosts = hosts;
    this.#replica = replica;
  }

  connectionTo(host: string): RenewalConnection {
    const client = new Client({
      connectionString: host,
      application_name: "sessiond presence",
      connectionTimeoutMillis: leaseMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      // The parts of a renewal are sent together.
      pipeline: true,
    });
    return new PostgresRenewalConnection(client, this.#replica);
  }
}

interface RenewalRow {
  readonly time_us: string;
  readonly timeline: number | null;
  readonly system: string | null;
  readonly leased: boolean;
  readonly recovery_id: string | null;
  readonly has_older_leases: boolean;
}

class PostgresRenewalConnection implements RenewalConnection {
  readonly #client: Client;
  readonly #replica: ReplicaIdentity;
  #text = "";
  #isUnconfirmed = false;

  constructor(client: Client, replica: ReplicaIdentity) {
    this.#client = client;
    this.#replica = replica;
    // Without a listener, an error between two renewals would end the process. The next renewal finds it.
    client.on("error", () => undefined);
    client.on("notice", ({ routine }) => {
      if (routine === "SyncRepWaitForLSN") this.#isUnconfirmed = true;
    });
  }

  async open(): Promise<void> {
    await this.#client.connect();
    const { rows } = await this.#client.query<{ standby: boolean }>("select pg_is_in_recovery() as standby");
    if (rows[0]?.standby !== false) throw new DatabaseFailure(standby);
    const [hasTimeline, hasSystem] = await Promise.all([this.#has(timeline), this.#has(system)]);
    this.#text = renewalText(hasTimeline ? timeline : "null::int", hasSystem ? system : "null");
    await this.#delete(`renew_time < now() - interval '${kept}'`);
  }

  async renew(onWritten: (renewal: Renewal) => void): Promise<Renewal> {
    const { id, name } = this.#replica;
    const { stream } = this.#client.connection;
    stream.cork();
    const parts = [
      this.#client.query(begin),
      this.#client.query<RenewalRow>(this.#text, [id, name]).then(({ rows: [row] }) => {
        if (row === undefined) throw new Error("the renewal returned no row");
        const renewal = toRenewal(row);
        onWritten(renewal);
        return renewal;
      }),
      this.#client.query("commit"),
    ] as const;
    stream.uncork();
    const outcomes = await Promise.allSettled(parts);
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    const [, renewed] = outcomes;
    if (renewed.status === "rejected") throw renewed.reason;
    if (this.#isUnconfirmed) {
      throw new DatabaseFailure("the database stopped waiting for its synchronous standby");
    }
    return renewed.value;
  }

  remove(): Promise<void> {
    return this.#delete(`id = '${this.#replica.id}'`);
  }

  destroy(): void {
    // Not the client's end(), which waits for an answer.
    this.#client.connection.stream.destroy();
  }

  /** Nothing rests on it, so it does not wait for standbys. */
  async #delete(condition: string): Promise<void> {
    await this.#client.query(
      `${beginWrite}; set local synchronous_commit = off; delete from replicas where ${condition}; commit`,
    );
  }

  async #has(expression: string): Promise<boolean> {
    try {
      await this.#client.query(`select ${expression}`);
      return true;
    } catch (error) {
      if (error instanceof DatabaseError && lacking.has(error.code ?? "")) return false;
      throw error;
    }
  }
}

/** The time is an integer, because settings of the role decide how many digits of other numbers are sent. */
function renewalText(timelineOf: string, systemOf: string): string {
  return `
    insert into replicas as r (id, name, timeline, leased, start_time, renew_time)
    values ($1::uuid, $2::text, ${timelineOf}, coalesce(current_setting('synchronous_standby_names', true), '') <> '',
      now(), now())
    on conflict (id) do update
      set timeline = excluded.timeline, leased = excluded.leased, renew_time = excluded.renew_time
    returning timeline, leased,
      floor(extract(epoch from clock_timestamp()) * 1000000)::int8::text as time_us,
      ${systemOf}::text as system,
      (select id::text from recoveries where finish_time is not null order by finish_time desc, id limit 1) as recovery_id,
      exists (select from replicas o where o.id <> r.id and o.leased and o.timeline < r.timeline
        and o.renew_time > now() - interval '${oldestLease} seconds') as has_older_leases`;
}

function toRenewal(row: RenewalRow): Renewal {
  return {
    timeMs: Number(row.time_us) / 1000,
    timeline: row.timeline ?? undefined,
    system: row.system ?? undefined,
    isSynchronous: row.leased,
    recoveryId: row.recovery_id ?? undefined,
    hasOlderLeases: row.has_older_leases,
  };
}
