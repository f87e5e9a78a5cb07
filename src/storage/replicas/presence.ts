import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../../domain/clock.ts";
import { DatabaseFailure, translated } from "../connection/database-errors.ts";
import type { DatabaseClock } from "./database-clock.ts";
import { type Lease, type Moment, type MomentClock, leaseMs } from "./lease.ts";
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

const tooLate = "the database did not confirm a renewal within 2 s";

/** A renewal, when it started, and when its result was known. */
interface Renewed {
  readonly renewal: Renewal;
  readonly startedAt: Moment;
  readonly writtenAt: Moment;
}

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
  #connection: RenewalConnection | undefined;
  #at = 0;
  #failures = 0;
  #error: unknown;
  /** The last failure of this kind, and how many failures in a row it was. */
  #refusal: { readonly error: OlderTimelineError; readonly failures: number } | undefined;
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
    await this.#connection?.remove().catch(() => undefined);
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
    const expired = Promise.withResolvers<never>();
    const cancel = clock.after(leaseMs, () => expired.reject(new DatabaseFailure(tooLate)));
    try {
      this.#take(await Promise.race([this.#renew(host), expired.promise]), host);
      this.#failures = 0;
      this.#refusal = undefined;
      return true;
    } catch (error) {
      this.#error = error;
      this.#failures++;
      if (error instanceof OlderTimelineError) this.#refusal = { error, failures: this.#failures };
      this.#disconnect();
      this.#at = (this.#at + 1) % servers.hosts.length;
      return false;
    } finally {
      cancel();
    }
  }

  async #renew(host: string): Promise<Renewed> {
    const { lease, moment, servers } = this.#options;
    const connection = this.#connection ?? servers.connectionTo(host);
    if (this.#connection === undefined) {
      this.#connection = connection;
      await connection.open();
    }
    const startedAt = moment();
    let writtenAt = startedAt;
    const renewal = await connection.renew(({ isSynchronous }) => {
      writtenAt = moment();
      if (isSynchronous) lease.require();
    });
    return { renewal, startedAt, writtenAt };
  }

  #take({ renewal, startedAt, writtenAt }: Renewed, host: string): void {
    const { guard, databaseClock, onPrimary } = this.#options;
    const outcome = guard.renewed(renewal, startedAt);
    if (outcome === "refused") throw new OlderTimelineError(renewal.timeline, guard.newest);
    databaseClock.measured(renewal.timeMs, startedAt.monotonic, writtenAt.monotonic);
    if (outcome === "moved") onPrimary(host);
  }

  #disconnect(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  #report(): void {
    const state = this.#state();
    if (state.kind === this.#kind) return;
    this.#kind = state.kind;
    this.#options.onState(state);
  }

  #state(): PresenceState {
    const { lease, servers } = this.#options;
    if (lease.ageMs < leaseMs) return { kind: "renewed" };
    const refusal = this.#refusal;
    const wasOfThisRound = refusal !== undefined && this.#failures - refusal.failures < servers.hosts.length;
    return wasOfThisRound
      ? { kind: "refused", error: refusal.error }
      : { kind: "lost", isRequired: lease.isRequired, error: this.#error };
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
