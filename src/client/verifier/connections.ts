import { type Connection, connect } from "../transport.ts";
import type { VerifierSettings } from "./options.ts";

/** How long calls may continue on the shared connection after the address has changed. */
const retirementMs = 10_000;

/** Connections to a service that may have several addresses. */
export class Connections {
  readonly #settings: VerifierSettings;
  readonly #open = new Set<Connection>();
  readonly #retiring = new Set<() => void>();
  #current = 0;
  #shared: Connection | undefined;

  constructor(settings: VerifierSettings) {
    this.#settings = settings;
  }

  /** The address in use. */
  get baseUrl(): string {
    const { baseUrls } = this.#settings;
    return baseUrls[this.#current % baseUrls.length] ?? baseUrls[0];
  }

  /** Changes to the next address. */
  rotate(): void {
    this.#current++;
  }

  /** Opens a new connection, which does not share the faults of another one, such as a frozen peer. */
  open(): Connection {
    const { tls, credential } = this.#settings;
    const opened = connect({ baseUrl: this.baseUrl, tls, credential });
    const close = () => {
      this.#open.delete(connection);
      opened.close();
    };
    const connection = { ...opened, close };
    this.#open.add(connection);
    return connection;
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
      this.#retiring.delete(cancel);
      failed.close();
    });
    this.#retiring.add(cancel);
  }

  close(): void {
    for (const cancel of this.#retiring) cancel();
    for (const connection of this.#open) connection.close();
  }
}
