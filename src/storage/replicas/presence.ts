import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../../domain/clock.ts";
import { translated } from "../connection/database-errors.ts";
import type { DatabaseClock } from "./database-clock.ts";
import { type Lease, type MomentClock, leaseMs } from "./lease.ts";
import type { Renewal, RenewalConnection, RenewalServers } from "./renewal.ts";
import type { TimelineGuard } from "./timeline-guard.ts";

/** Time between the starts of two renewals, in milliseconds. */
const intervalMs = 500;
/** Wait after a renewal has failed on every host, in milliseconds. */
const retryMs = 100;
/** How long a process that starts tries to make its first renewal, in milliseconds. */
const startMs = 10_000;
/** How long a process that ends tries to delete its row, in milliseconds. */
const endMs = 1_000;

/** What the last renewals have shown. */
export type PresenceState =
  | { readonly kind: "renewed" }
  /** No renewal has succeeded for 2 s. Until one does, nothing is read if the lease is required. */
  | { readonly kind: "lost"; readonly isRequired: boolean; readonly error: unknown }
  /** The only servers that answer are on an older timeline of this database than one that has answered before. */
  | { readonly kind: "refused"; readonly error: OlderTimelineError };

export class OlderTimelineError extends Error {
  readonly found: number | undefined;
  readonly newest: number | undefined;

  constructor(found: number | undefined, newest: number | undefined) {
    super(`the server is on timeline ${found}, but timeline ${newest} of this database has answered before`);
    this.found = found;
    this.newest = newest;
  }
}

export interface PresenceOptions {
  readonly servers: RenewalServers;
  readonly lease: Lease;
  readonly guard: TimelineGuard;
  readonly databaseClock: DatabaseClock;
  readonly clock: Clock;
  readonly moment: MomentClock;
  /** Called with the host of a new primary: connections to others must not be used. */
  readonly onPrimary: (host: string) => void;
  /** Called when the kind of state changes, but not when the first renewal succeeds. */
  readonly onState: (state: PresenceState) => void;
}

/**
 * Renews the row of this process in the table `replicas` every 500 ms, on a connection of its own. A renewal keeps the lease,
 * finds the primary after a failover, and measures the database's clock. One that takes 2 s is of no use any more: its connection
 * is closed, and the next host is tried.
 */
export class Presence {
  readonly #options: PresenceOptions;
  #connection: { readonly host: string; readonly opened: RenewalConnection } | undefined;
  #at = 0;
  #failures = 0;
  #error: unknown;
  #kind: PresenceState["kind"] = "renewed";
  #closed = false;
  /** Ends the current wait. */
  #wake: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** Resolves after the first renewal. Rejects if none succeeds, because of the database or because of permissions. */
  async start(): Promise<void> {
    const { clock } = this.#options;
    const startedAt = clock.now();
    while (!(await this.#renewed())) {
      const error = translated(this.#error);
      if (error === this.#error || clock.now() - startedAt >= startMs) throw error;
      // Not the clock, whose timers let a process end that does nothing else.
      await delay(retryMs);
    }
    this.#running = this.#run();
  }

  /** Deletes the row, if the database answers soon. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await Promise.race([this.#remove(), delay(endMs, undefined, { ref: false })]);
    this.#disconnect();
  }

  async #remove(): Promise<void> {
    await this.#running;
    await this.#connection?.opened.remove().catch(() => undefined);
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      const startedAt = this.#options.clock.now();
      const renewed = await this.#renewed();
      this.#report();
      if (renewed) await this.#wait(startedAt + intervalMs - this.#options.clock.now());
      else if (this.#failures % this.#options.servers.hosts.length === 0) await this.#wait(retryMs);
    }
  }

  /** Tries to renew within 2 s, on the host of the last renewal or, after a failure, on the next one. */
  async #renewed(): Promise<boolean> {
    const { clock, servers } = this.#options;
    const host = servers.hosts[this.#at] ?? "";
    const isNew = this.#connection === undefined;
    const { opened } = (this.#connection ??= { host, opened: servers.connectionTo(host) });
    const cancel = clock.after(leaseMs, () => opened.destroy());
    try {
      if (isNew) await opened.open();
      await this.#renew(host, opened);
      this.#failures = 0;
      return true;
    } catch (error) {
      this.#error = error;
      this.#failures++;
      this.#disconnect();
      this.#at = (this.#at + 1) % servers.hosts.length;
      return false;
    } finally {
      cancel();
    }
  }

  async #renew(host: string, connection: RenewalConnection): Promise<void> {
    const { lease, guard, databaseClock, moment, onPrimary } = this.#options;
    const startedAt = moment();
    let writtenAt = startedAt;
    const renewal = await connection.renew(({ isSynchronous }: Renewal) => {
      writtenAt = moment();
      if (isSynchronous) lease.require();
    });
    const outcome = guard.renewed(renewal, startedAt);
    if (outcome === "refused") throw new OlderTimelineError(renewal.timeline, guard.newest);
    databaseClock.measured(renewal.timeMs, startedAt.monotonic, writtenAt.monotonic);
    if (outcome === "moved") onPrimary(host);
  }

  #disconnect(): void {
    this.#connection?.opened.destroy();
    this.#connection = undefined;
  }

  #report(): void {
    const state = this.#state();
    if (state.kind === this.#kind) return;
    this.#kind = state.kind;
    this.#options.onState(state);
  }

  #state(): PresenceState {
    const { lease } = this.#options;
    const error = this.#error;
    if (lease.ageMs < leaseMs) return { kind: "renewed" };
    if (error instanceof OlderTimelineError) return { kind: "refused", error };
    return { kind: "lost", isRequired: lease.isRequired, error };
  }

  /** Waits `ms` milliseconds, or until the process ends. */
  async #wait(ms: number): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(Math.max(0, ms), resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
