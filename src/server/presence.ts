import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Logger } from "pino";
import { systemClock } from "../domain/clock.ts";
import type { Hosts } from "../storage/connection/hosts.ts";
import { DatabaseClock } from "../storage/replicas/database-clock.ts";
import { Lease, systemMoment } from "../storage/replicas/lease.ts";
import { Presence, type PresenceState } from "../storage/replicas/presence.ts";
import { PostgresRenewals } from "../storage/replicas/renewal.ts";
import { TimelineGuard } from "../storage/replicas/timeline-guard.ts";
import type { Cleanup } from "./lifecycle.ts";
import type { Metrics } from "./observability/metrics.ts";
import { describeFault } from "./observability/log.ts";

export interface PresenceParts {
  /** Of the pools that serve calls. */
  readonly hosts: Hosts;
  readonly log: Logger;
  readonly metrics: Metrics | undefined;
}

/** How often this machine's clock is compared with the database's, in milliseconds. */
const clockCheckMs = 60_000;

/**
 * Enters this process in the table `replicas`, and renews its row until the service has stopped. Returns what the parts of the
 * process rely on: the guard of their reads and revocations, and the database's clock.
 */
export async function startPresence({ hosts, log, metrics }: PresenceParts, cleanup: Cleanup) {
  const lease = new Lease();
  const guard = new TimelineGuard(lease, systemClock, metrics?.readRefused);
  const databaseClock = new DatabaseClock();
  const identity = { id: randomUUID(), name: `${hostname()}:${process.pid}` };
  const presence = new Presence({
    servers: new PostgresRenewals(hosts.all, identity),
    lease,
    guard,
    databaseClock,
    clock: systemClock,
    moment: systemMoment,
    onPrimary: (host) => hosts.moveTo(host),
    onState: (state) => logState(log, state),
  });
  cleanup.defer(() => presence.close());
  await presence.start();
  metrics?.watchPresence(lease, guard, databaseClock);
  cleanup.defer(warnOfClock(log, databaseClock));
  return { guard, now: databaseClock.now };
}

function logState(log: Logger, state: PresenceState): void {
  switch (state.kind) {
    case "renewed":
      log.info("the database confirms this process again");
      return;
    case "lost": {
      const fields = { fault: describeFault(state.error) };
      if (state.isRequired) {
        log.warn(
          fields,
          "no synchronous standby has confirmed for 2 s that the database is still the primary; until one does, calls are " +
            "answered with UNAVAILABLE",
        );
      } else {
        log.warn(fields, "this process could not renew its row in the table replicas for 2 s");
      }
      return;
    }
    case "refused": {
      const { found, newest } = state.error;
      log.error(
        { timeline: found, newest_timeline: newest },
        "the database has gone back to an older timeline, and may lack revocations that were acknowledged: calls are answered " +
          "with UNAVAILABLE until the newer primary is back, `sessiond recover` has run, or this process is restarted; see " +
          "src/server/failover.md before you restart it",
      );
    }
  }
}

/** Warns once if this machine's clock is wrong. The service does not use it, but verifiers on machines with such a clock do. */
function warnOfClock(log: Logger, clock: DatabaseClock): () => Promise<void> {
  const check = () => {
    if (!clock.machineIsWrong) return;
    clearInterval(timer);
    log.warn(
      { ahead_seconds: Math.round(clock.machineAheadMs / 1000) },
      "the clocks of this machine and of the database differ by more than 30 s: synchronize them, because verifiers refuse " +
        "JWTs whose times differ more from their own clock",
    );
  };
  const timer = setInterval(check, clockCheckMs).unref();
  check();
  return async () => clearInterval(timer);
}
