import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { RevocationFeeds } from "../../domain/revocations/revocation-feeds.ts";
import type { CallRecord } from "../../rpc/call-record.ts";
import type { PoolUse } from "../../storage/connection/database.ts";
import { type Purged, nothingPurged } from "../../storage/purge/purge.ts";
import type { Listener } from "../listener/listener.ts";
import { version } from "../version.ts";

/** Upper bounds of the buckets for calls, in seconds: a look-up takes less than a millisecond, a silent database seconds. */
const callBuckets = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Of how long after its commit a revocation is known here, in seconds. */
const lagBuckets = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
/** Of how many calls share a statement. */
const batchBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/**
 * Everything this process counts, for Prometheus. No label has values that callers choose: neither projects nor members, and
 * paths that are no method's count as one. Workers' metrics are added up, but where it says otherwise.
 */
export class Metrics {
  readonly registry = new Registry();
  #inFlight = 0;
  readonly #calls = new Histogram({
    name: "sessiond_call_duration_seconds",
    help: "Time from a request's arrival to the end of its answer. A stream counts when it ends.",
    labelNames: ["method", "protocol", "code"] as const,
    buckets: callBuckets,
    registers: [this.registry],
  });
  readonly #failures = new Counter({
    name: "sessiond_failures_total",
    help: "Calls that failed with a reason of session.v1.ErrorReason.",
    labelNames: ["method", "reason"] as const,
    registers: [this.registry],
  });
  readonly #batches = new Histogram({
    name: "sessiond_batch_size",
    help: "How many calls shared a statement, by what was asked of the database.",
    labelNames: ["kind"] as const,
    buckets: batchBuckets,
    registers: [this.registry],
  });
  readonly #revisions = new Counter({
    name: "sessiond_revisions_total",
    help: "Revisions that came to the watchers of this process, of all projects.",
    registers: [this.registry],
  });
  readonly #lag = new Histogram({
    name: "sessiond_propagation_lag_seconds",
    help: "Time from a revocation, by the clock of the replica that made it, until this process had it for its watchers.",
    buckets: lagBuckets,
    registers: [this.registry],
  });

  readonly #purged = new Counter({
    name: "sessiond_purged_total",
    help: "What the purge has removed for good: sessions, tokens that were replaced long ago, revocations and cutoffs.",
    labelNames: ["kind"] as const,
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    new Gauge({
      name: "sessiond_build_info",
      help: "1, with the version that runs.",
      labelNames: ["version"] as const,
      aggregator: "first",
      registers: [this.registry],
    }).set({ version: version() }, 1);
    this.batchPurged(nothingPurged); // so that there is a series before there is a first purge
    this.#gauge("sessiond_calls_in_flight", "Requests whose answer has not ended.", () => this.#inFlight);
  }

  /** A request has arrived. */
  readonly callBegan = (): void => {
    this.#inFlight++;
  };

  /** Its answer is over, after so many milliseconds. */
  readonly callEnded = (record: CallRecord, code: string, duration: number): void => {
    this.#inFlight--;
    const { method = "none", protocol = "http", reason } = record;
    this.#calls.observe({ method, protocol, code }, duration / 1000);
    if (reason !== undefined) this.#failures.inc({ method, reason });
  };

  /** So many calls share a statement. */
  readonly batchStarted = (kind: string, size: number): void => this.#batches.observe({ kind }, size);

  /** Revocations came to a feed, made at these times. */
  readonly revocationsRead = (times: readonly Date[], now: Date): void => {
    this.#revisions.inc(times.length);
    // Clocks of replicas may differ: what seems to come from the future came at once.
    for (const time of times) this.#lag.observe(Math.max(0, now.getTime() - time.getTime()) / 1000);
  };

  /** A batch was purged. */
  readonly batchPurged = (purged: Purged): void => {
    for (const [kind, count] of Object.entries(purged)) this.#purged.inc({ kind }, count);
  };

  /** Shows who is there. What is read only when somebody asks costs nothing until then. */
  watch(feeds: RevocationFeeds, listener: Pick<Listener, "connections">): void {
    this.#gauge("sessiond_connections", "Connections that clients have open.", () => listener.connections);
    this.#gauge("sessiond_watchers", "Streams of revocations that are open.", () => feeds.watchers);
    this.#gauge(
      "sessiond_feed_staleness_seconds",
      "How long ago the log of a watched project was read, where it is longest; 0 without watchers. The worst of all workers.",
      () => feeds.staleness / 1000,
      "max",
    );
  }

  /** Shows how the pool of connections to the database is used. */
  watchPool(use: () => PoolUse): void {
    this.#gauge("sessiond_database_connections", "Connections to the database.", () => use().open);
    this.#gauge("sessiond_database_connections_idle", "Those of them that nobody uses.", () => use().idle);
    this.#gauge(
      "sessiond_database_connections_waited_for",
      "Statements that wait for a connection to the database.",
      () => use().waiting,
    );
  }

  #gauge(name: string, help: string, read: () => number, aggregator: "sum" | "max" = "sum"): void {
    const gauge = new Gauge({
      name,
      help,
      aggregator,
      registers: [],
      collect() {
        this.set(read());
      },
    });
    this.registry.registerMetric(gauge);
  }
}
