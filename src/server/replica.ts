import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import { systemClock } from "../domain/clock.ts";
import { KeyRing } from "../domain/keys/key-ring.ts";
import { SessionJwts } from "../domain/keys/session-jwts.ts";
import { defaultFeedOptions } from "../domain/revocations/feed-message.ts";
import { RevocationFeeds } from "../domain/revocations/revocation-feeds.ts";
import { type PoolUse, openDatabase } from "../storage/connection/database.ts";
import { Hosts } from "../storage/connection/hosts.ts";
import { RevocationNotifier } from "../storage/revocations/notifier.ts";
import { assemble } from "./assemble.ts";
import { purgeInBackground } from "./background-purge.ts";
import { type Config, masterKeysOf } from "./config/config.ts";
import type { Cleanup } from "./lifecycle.ts";
import { logHistoryChange } from "./history-change.ts";
import { createListener } from "./listener/listener.ts";
import { listenForRevocations } from "./revocation-wake-ups.ts";
import { PeerRegistry } from "./listener/peer.ts";
import type { Metrics } from "./observability/metrics.ts";
import { describeFault } from "./observability/log.ts";
import { Tracing } from "./observability/tracing.ts";
import { startPresence } from "./presence.ts";
import { type PreparedDatabase, logConnectionError, openStore } from "./prepare-database.ts";
import { watchCertificates } from "./tls/certificate-watch.ts";
import { type TlsMaterial, readTlsMaterial } from "./tls/certificates.ts";

export interface ReplicaOptions {
  readonly config: Config;
  readonly database: Pick<PreparedDatabase, "databaseUrl" | "directUrl" | "masterKey">;
  readonly log: Logger;
  /** Replaces the database's clock, in tests. */
  readonly now?: (() => Date) | undefined;
  /** Undefined: nothing is counted. */
  readonly metrics: Metrics | undefined;
}

/**
 * Starts the parts that each serving process has for itself: its entry among the replicas, a connection pool, revocation feeds, a
 * listener. The cleanup drains them within the configured grace period.
 */
export async function startReplica(
  { config, database, log, metrics, ...options }: ReplicaOptions,
  cleanup: Cleanup,
): Promise<{ readonly address: string; readonly port: number }> {
  const material = config.tls && (await readTlsMaterial(config.tls));
  const { databaseUrl: url, directUrl, masterKey } = database;
  const { maxConnections, connectTimeoutMs, statementTimeoutMs, preparedStatements } = config;
  const onConnectionError = logConnectionError(log);
  const hosts = new Hosts(url);
  const { guard, now: databaseNow } = await startPresence({ hosts, log, metrics }, cleanup);
  const { now = databaseNow } = options;
  const connection = {
    url: hosts,
    connectTimeoutMs,
    statementTimeoutMs,
    preparedStatements,
    onConnectionError,
    onPreparedStatementsLost: (error: Error) =>
      log.warn(
        { fault: describeFault(error) },
        "a pooler before the database loses prepared statements; no more are made",
      ),
  };
  const onPool = (use: () => PoolUse) => metrics?.watchPool(use);
  const db = openDatabase({ ...connection, guard, maxConnections, onPool });
  cleanup.defer(() => db.destroy());

  const sender = randomUUID();
  const notifier = config.notify
    ? new RevocationNotifier({
        db,
        sender,
        onFailure(error) {
          metrics?.notificationFailed();
          log.debug({ fault: describeFault(error) }, "other replicas were not notified of revocations");
        },
      })
    : undefined;
  cleanup.defer(async () => notifier?.drain());
  const store = openStore(db, config, log, {
    onBatch: metrics?.batchStarted,
    gate: guard,
    onRevocations(projectId, head) {
      feeds.wrote(projectId, head);
      notifier?.notify(projectId);
    },
  });
  const masterKeys = masterKeysOf(masterKey, config.acceptedMasterKeys);
  const keyRing = new KeyRing(store.signingKeys, masterKeys, now, config.keySchedule);
  const jwts = new SessionJwts(keyRing, config.issuer);
  const feeds = new RevocationFeeds(store.revocations, systemClock, now, {
    ...defaultFeedOptions,
    onRead: (revocations) => metrics?.revocationsRead(revocations, now()),
    onHistoryChange(change) {
      metrics?.historyChanged(change.difference);
      logHistoryChange(log, change);
    },
  });
  if (notifier !== undefined) {
    const revocationListener = listenForRevocations({
      url: directUrl,
      sender,
      notifier,
      feeds,
      log,
      connectTimeoutMs,
    });
    metrics?.watchListener(() => revocationListener.hears);
    cleanup.defer(() => revocationListener.close());
  }
  const shutdown = new AbortController();
  const peers = new PeerRegistry();
  const { handler, takeStream, health } = assemble({
    config,
    deps: { store, jwts, masterKeys, keyRing, now },
    feeds,
    log,
    observers: { metrics, tracing: Tracing.ofProcess() },
    peers,
    shutdownSignal: shutdown.signal,
  });
  const listener = createListener({
    handler,
    takeStream,
    peers,
    tls: config.tls && material && { material, minVersion: config.tls.minVersion },
    // At debug level, because most failures are the client's fault, except for refused certificates, which no answer reports.
    onError(error, place) {
      const fields = { place, fault: describeFault(error) };
      if (place === "client certificate") log.warn(fields, "connection refused");
      else log.debug(fields, "connection trouble");
    },
  });
  metrics?.watch(feeds, listener);
  if (config.tls && material) {
    const onFailure = (error: unknown) =>
      log.error(
        { fault: describeFault(error) },
        "the changed TLS files cannot be used; keeping the previous",
      );
    const onChange = (changed: TlsMaterial) => listener.renewTls(changed);
    const watch = watchCertificates(config.tls, material, log, onChange, onFailure);
    cleanup.defer(async () => watch.stop());
  }
  // On a connection of its own, so that no call waits for a connection that purges.
  const purgeDb = openDatabase({ ...connection, maxConnections: 1 });
  cleanup.defer(() => purgeDb.destroy());
  const retentionMs = config.retentionMs === 0 ? undefined : config.retentionMs;
  const onPurged = metrics?.batchPurged;
  const purging = purgeInBackground(
    { db: purgeDb, retentionMs, clock: systemClock, log, onPurged },
    shutdown.signal,
  );
  cleanup.defer(() => purging); // ended by the drain below, which runs first
  cleanup.defer(async () => {
    health.drain();
    // One turn of the event loop, so that health watchers receive NOT_SERVING before their streams end.
    await setImmediate();
    shutdown.abort(new ConnectError("the server is shutting down; try again", Code.Unavailable));
    await listener.drain(config.shutdownGraceMs);
  });
  const { address, port } = await listener.listen(config.listen);
  log.info({ address, port }, "listening");
  return { address, port };
}
