import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import { type HistoryDifference, historyDifferences } from "../../domain/revocations/history.ts";
import type { RevocationFeeds } from "../../domain/revocations/revocation-feeds.ts";
import type { CallRecord } from "../../rpc/call-record.ts";
import type { RefusalCause } from "../../storage/replicas/timeline-guard.ts";
import type { PoolUse } from "../../storage/connection/database.ts";
import { type Purged, nothingPurged } from "../../storage/purge/purge.ts";
import { version } from "../config/config.ts";

/** Bucket bounds for calls, in seconds: from a look-up below a millisecond to a database that does not answer. */
const callBuckets = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Bucket bounds for propagation lag, in seconds. */
const lagBuckets = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const batchBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/**
 * Prometheus metrics of this process. Callers choose no label value: there are no labels for projects or members, and all
 * paths that match no method share one. Metrics of workers are summed unless the aggregator says otherwise.
 */
export class Metrics {
  readonly registry = new Registry();
  #inFlight = 0;
  readonly #calls = new Histogram({
    name: "sessiond_call_duration_seconds",
    help: "Time from the arrival of a request to the end of its answer. A stream counts when it ends.",
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
    help: "Calls that shared a statement, by kind of statement.",
    labelNames: ["kind"] as const,
    buckets: batchBuckets,
    registers: [this.registry],
  });
  readonly #revisions = new Counter({
    name: "sessiond_revisions_total",
    help: "Revisions that the feeds of this process have read, of all projects.",
    registers: [this.registry],
  });
  readonly #lag = new Histogram({
    name: "sessiond_propagation_lag_seconds",
    help: "Time from a revocation, by the clock of the replica that made it, until a feed of this process has read it.",
    buckets: lagBuckets,
    registers: [this.registry],
  });
  readonly #purged = new Counter({
    name: "sessiond_purged_total",
    help: "Rows that the purge has deleted: sessions, replaced tokens, revocations and cutoffs.",
    labelNames: ["kind"] as const,
    registers: [this.registry],
  });
  readonly #refusedReads = new Counter({
    name: "sessiond_reads_refused_total",
    help: "Answers of the database that were not used: without a lease, or from an older timeline than one that answered before.",
    labelNames: ["cause"] as const,
    registers: [this.registry],
  });
  readonly #historyChanges = new Counter({
    name: "sessiond_history_changes_total",
    help: "Logs of revocations that were not the ones that this process knew: the database was restored, or lost commits.",
    labelNames: ["difference"] as const,
    registers: [this.registry],
  });
  readonly #notificationFailures = new Counter({
    name: "sessiond_notification_failures_total",
    help: "Failed attempts to tell other replicas of revocations. Their watchers are served by polling.",
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    new Gauge({
      name: "sessiond_build_info",
      help: "Always 1. The label has the running version.",
      labelNames: ["version"] as const,
      aggregator: "first",
      registers: [this.registry],
    }).set({ version: version() }, 1);
    // Creates the series before the first event.
    this.batchPurged(nothingPurged);
    for (const cause of ["lease", "timeline"] as const) this.#refusedReads.inc({ cause }, 0);
    for (const difference of historyDifferences) this.#historyChanges.inc({ difference }, 0);
    this.#gauge("sessiond_calls_in_flight", "Requests whose answer has not ended yet.", () => this.#inFlight);
  }

  readonly callBegan = (): void => {
    this.#inFlight++;
  };

  readonly callEnded = (record: CallRecord, code: string, durationMs: number): void => {
    this.#inFlight--;
    const { method = "none", protocol = "http", reason } = record;
    this.#calls.observe({ method, protocol, code }, durationMs / 1000);
    if (reason !== undefined) this.#failures.inc({ method, reason });
  };

  readonly batchStarted = (kind: string, size: number): void => this.#batches.observe({ kind }, size);

  readonly revocationsRead = (revocations: readonly { readonly time: Date }[], now: Date): void => {
    this.#revisions.inc(revocations.length);
    // Clocks of replicas differ: a time in the future counts as no lag.
    for (const { time } of revocations) this.#lag.observe(Math.max(0, now.getTime() - time.getTime()) / 1000);
  };

  readonly historyChanged = (difference: HistoryDifference): void => this.#historyChanges.inc({ difference });

  readonly notificationFailed = (): void => this.#notificationFailures.inc();

  readonly batchPurged = (purged: Purged): void => {
    for (const [kind, count] of Object.entries(purged)) this.#purged.inc({ kind }, count);
  };

  readonly readRefused = (cause: RefusalCause): void => this.#refusedReads.inc({ cause });

  /** Adds gauges that are read when metrics are collected. */
  watch(feeds: RevocationFeeds, listener: { readonly connections: number }): void {
    this.#gauge("sessiond_connections", "Open connections of clients.", () => listener.connections);
    this.#gauge("sessiond_watchers", "Open streams of revocations.", () => feeds.watchers);
    this.#gauge(
      "sessiond_feed_staleness_seconds",
      "Longest time since the log of a watched project was read; 0 without watchers. The maximum of all workers.",
      () => feeds.staleness / 1000,
      "max",
    );
  }

  watchPresence(
    lease: { readonly holds: boolean; readonly ageMs: number },
    guard: { readonly newest: number | undefined },
    clock: { readonly machineAheadMs: number },
  ): void {
    this.#gauge(
      "sessiond_lease_held",
      "1 if this process may say that sessions are valid, because it holds its lease or needs none; 0 if any worker may not.",
      () => Number(lease.holds),
      "min",
    );
    this.#gauge(
      "sessiond_lease_age_seconds",
      "Time since the start of the last renewal of this process's row that the database has confirmed. The maximum of all workers.",
      () => lease.ageMs / 1000,
      "max",
    );
    this.#gauge(
      "sessiond_database_timeline",
      "The newest timeline of the database that has answered; 0 if the database has none.",
      () => guard.newest ?? 0,
      "max",
    );
    this.#gauge(
      "sessiond_clock_offset_seconds",
      "How far this machine's clock is ahead of the database's.",
      () => clock.machineAheadMs / 1000,
      "average",
    );
  }

  /** Adds a gauge of whether notifications arrive. */
  watchListener(hears: () => boolean): void {
    this.#gauge(
      "sessiond_deaf_processes",
      "Processes at which notifications of revocations do not arrive, so that they read the logs often.",
      () => (hears() ? 0 : 1),
    );
  }

  watchPool(use: () => PoolUse): void {
    this.#gauge("sessiond_database_connections", "Connections to the database.", () => use().open);
    this.#gauge("sessiond_database_connections_idle", "Idle connections to the database.", () => use().idle);
    this.#gauge(
      "sessiond_database_connections_waited_for",
      "Statements that wait for a connection to the database.",
      () => use().waiting,
    );
  }

  #gauge(
    name: string,
    help: string,
    read: () => number,
    aggregator: "sum" | "max" | "min" | "average" = "sum",
  ): void {
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
