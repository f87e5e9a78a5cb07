import { clockToleranceMs } from "../../jwt/claims.ts";

/** How fast two clocks may drift apart: 500 ppm, the most that NTP corrects. */
const drift = 500e-6;

/**
 * The database's clock, which all replicas share. This machine's monotonic clock carries it from one measurement to the next, so
 * that neither a wrong clock of this machine nor a step of it changes what a replica decides.
 */
export class DatabaseClock {
  readonly #monotonic: () => number;
  readonly #wall: () => number;
  #offsetMs: number;
  #uncertaintyMs = Infinity;
  #measuredAt: number;

  /** Until the first measurement it shows this machine's time. */
  constructor(monotonic: () => number = () => performance.now(), wall: () => number = Date.now) {
    this.#monotonic = monotonic;
    this.#wall = wall;
    this.#measuredAt = monotonic();
    this.#offsetMs = wall() - this.#measuredAt;
  }

  readonly now = (): Date => new Date(this.#monotonic() + this.#offsetMs);

  /** How far this machine's own clock is ahead, in milliseconds. */
  get machineAheadMs(): number {
    return this.#wall() - this.now().getTime();
  }

  /** Whether this machine's own clock differs by more than verifiers tolerate. */
  get machineIsWrong(): boolean {
    return Math.abs(this.machineAheadMs) > clockToleranceMs;
  }

  /**
   * Takes a time that the database read between two times of the monotonic clock. Keeps the most precise measurement, which
   * loses precision with age. If the two contradict each other, the database's clock was set or a server took over: the newer
   * one counts.
   */
  measured(databaseMs: number, sentAt: number, receivedAt: number): void {
    const uncertaintyMs = (receivedAt - sentAt) / 2;
    const offsetMs = databaseMs - (sentAt + receivedAt) / 2;
    const agedMs = this.#uncertaintyMs + (receivedAt - this.#measuredAt) * drift;
    const contradicts = Math.abs(offsetMs - this.#offsetMs) > uncertaintyMs + agedMs;
    if (uncertaintyMs > agedMs && !contradicts) return;
    this.#offsetMs = offsetMs;
    this.#uncertaintyMs = uncertaintyMs;
    this.#measuredAt = receivedAt;
  }
}
