import { setImmediate } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import { systemClock } from "../domain/clock.ts";
import { SessionJwts } from "../domain/keys/session-jwts.ts";
import { KeyRing } from "../domain/keys/key-ring.ts";
import { RevocationFeeds } from "../domain/revocations/revocation-feeds.ts";
import { defaultFeedOptions } from "../domain/revocations/project-feed.ts";
import { openDatabase } from "../storage/connection/database.ts";
import { RevocationListener } from "../storage/revocations/listener.ts";
import { assemble } from "./assemble.ts";
import { describeFault } from "./observability/call-log.ts";
import type { Config } from "./config/config.ts";
import { connectionLog } from "./observability/connection-log.ts";
import type { Foundation } from "./prepare-database.ts";
import { createListener } from "./listener/listener.ts";
import { PeerRegistry } from "./listener/peer.ts";
import type { Metrics } from "./observability/metrics.ts";
import { masterKeysOf } from "./master-keys.ts";
import { openStore } from "./open-store.ts";
import { keepPurging } from "./operator/background-purge.ts";
import type { Running } from "./lifecycle.ts";
import { readTlsMaterial } from "./tls/certificates.ts";
import { watchTlsFiles } from "./tls/certificate-watch.ts";
import { Tracing } from "./observability/tracing.ts";

/** What one process serves from. */
export interface ReplicaOptions {
  readonly config: Config;
  readonly foundation: Pick<Foundation, "databaseUrl" | "masterKey">;
  readonly log: Logger;
  readonly now: () => Date;
  /** Where it counts what it does; undefined where nobody asks. */
  readonly metrics: Metrics | undefined;
}

/**
 * Starts what every process that serves has of its own: connections to the database, feeds of revocations, a listener. To
 * stop it is to drain it, within the configured grace. Rejects, in words.
 */
export async function startReplica(
  { config, foundation, log, now, metrics }: ReplicaOptions,
  running: Running,
): Promise<{ readonly address: string; readonly port: number }> {
  const material = config.tls && (await readTlsMaterial(config.tls));
  const { databaseUrl: url, masterKey } = foundation;
  const { maxConnections, connectTimeoutMs, statementTimeoutMs, preparedStatements } = config;
  const onConnectionError = (error: Error) =>
    log.warn({ fault: describeFault(error) }, "database connection lost");
  const connections = { url, connectTimeoutMs, statementTimeoutMs, preparedStatements, onConnectionError };
  const db = openDatabase({
    ...connections,
    maxConnections,
    onPool: (use) => metrics?.watchPool(use),
  });
  running.defer(() => db.destroy());

  const store = openStore(db, config, log, metrics?.batchStarted);
  const masterKeys = masterKeysOf(masterKey, config.acceptedMasterKeys);
  const keyRing = new KeyRing(store.signingKeys, masterKeys, now, config.keySchedule);
  const jwts = new SessionJwts(keyRing, config.issuer);
  const feeds = new RevocationFeeds(store.revocations, systemClock, now, {
    ...defaultFeedOptions,
    ...(metrics && {
      onRead: (read) =>
        metrics.revocationsRead(
          read.map(({ time }) => time),
          now(),
        ),
    }),
  });
  if (config.notify) listenForRevocations(url, connectTimeoutMs, feeds, log, running);
  const shutdown = new AbortController();
  const peers = new PeerRegistry();
  const { handler, takeStream, health } = assemble({
    config,
    deps: { store, jwts, keyRing, now },
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
    onError: connectionLog(log),
  });
  metrics?.watch(feeds, listener);
  if (config.tls && material) {
    const watch = watchTlsFiles(config.tls, material, log, (next) => listener.renewTls(next));
    running.defer(async () => watch.stop());
  }
  if (config.retentionMs > 0) {
    // On a connection of its own, for as long as it purges: no call waits for one of those that serve.
    const purgeDb = openDatabase({ ...connections, maxConnections: 1 });
    running.defer(() => purgeDb.destroy());
    const { retentionMs } = config;
    const onPurged = metrics?.batchPurged;
    const options = { db: purgeDb, retentionMs, now, clock: systemClock, log, onPurged };
    const purging = keepPurging(options, shutdown.signal);
    running.defer(() => purging); // which the drain, next, ends
  }
  running.defer(async () => {
    health.drain();
    // One turn of the event loop, in which watchers of health are told so: then their streams end.
    await setImmediate();
    shutdown.abort(new ConnectError("the server is shutting down; try again", Code.Unavailable));
    await listener.drain(config.shutdownGraceMs);
  });
  const { address, port } = await listener.listen(config.listen);
  log.info({ address, port }, "listening");
  return { address, port };
}

/** Has the feeds read at once when a revocation is committed, on whatever replica. */
function listenForRevocations(
  url: string,
  connectTimeoutMs: number,
  feeds: RevocationFeeds,
  log: Logger,
  running: Running,
): void {
  const listener = new RevocationListener({
    url,
    connectTimeoutMs,
    clock: systemClock,
    onChange: (projectId) => feeds.changed(projectId),
    onTrouble: (error) => log.warn({ fault: describeFault(error) }, "revocations are polled for"),
  });
  running.defer(() => listener.close());
}
