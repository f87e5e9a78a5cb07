import { type Connection, connect } from "../transport.ts";
import type { VerifierSettings } from "./options.ts";

/** How long calls may continue on the shared connection after the address has changed. */
const retirementMs = 10_000;

/** Connections to a service that may have several addresses. */
export class Connections {
  readonly #settings: VerifierSettings;
  /** Connections that are closed later, and the function that cancels this. */
  readonly #retiring = new Map<Connection, () => void>();
  #current = 0;
  #shared: Connection | undefined;

  constructor(settings: VerifierSettings) {
    this.#settings = settings;
  }

  /** The address in use. */
  get baseUrl(): string {
    const { baseUrls } = this.#settings;
    return baseUrls[this.#current % baseUrls.length] ?? "";
  }

  /** Changes to the next address. */
  rotate(): void {
    this.#current++;
  }

  /** Opens a new connection, which does not share the faults of another one, such as a frozen peer. The caller closes it. */
  open(): Connection {
    const { tls, credential } = this.#settings;
    return connect({ baseUrl: this.baseUrl, tls, credential });
  }

  /** Returns the connection that single calls share. */
  shared(): Connection {
    if (this.#shared?.baseUrl !== this.baseUrl) this.replaceShared(this.#shared, retirementMs);
    return (this.#shared ??= this.open());
  }

  /** Makes later calls use a new connection if `failed` is the shared one, and closes `failed` after `graceMs`. */
  replaceShared(failed: Connection | undefined, graceMs: number): void {
    if (failed === undefined || this.#shared !== failed) return;
    this.#shared = undefined;
    const cancel = this.#settings.clock.after(graceMs, () => {
      this.#retiring.delete(failed);
      failed.close();
    });
    this.#retiring.set(failed, cancel);
  }

  /** Closes all connections that calls share. */
  close(): void {
    for (const [connection, cancel] of this.#retiring) {
      cancel();
      connection.close();
    }
    this.#shared?.close();
  }
}
