import { Client } from "pg";
import type { Clock } from "../../domain/clock.ts";
import { type ProjectId, parseProjectId } from "../../domain/ids.ts";
import { Backoff } from "../../transport/backoff.ts";
import { Hosts } from "../connection/hosts.ts";

/** The channel. A notification names a project that has new revocations, and its sender. */
export const revocationChannel = "sessiond_revocations";

export interface RevocationListenerOptions {
  readonly url: string;
  /** Name of this process. It has no use for its own notifications. */
  readonly sender: string;
  /** How long to wait for a connection, in milliseconds. A silent host would otherwise block the next attempt. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  /** Called with a project that has changed; undefined for any project, after notifications may have been missed. */
  readonly onChange: (projectId: ProjectId | undefined) => void;
  /** Called each time that listening fails. Watchers are served by polling meanwhile. */
  readonly onTrouble: (error: unknown) => void;
}

const retryBackoff = { firstMs: 100, maxMs: 10_000 };

/** Listens for committed revocations on a connection of its own, and reconnects when that is lost. */
export class RevocationListener {
  readonly #options: RevocationListenerOptions;
  readonly #hosts: Hosts;
  #client: Client | undefined;
  #cancelRetry: (() => void) | undefined;
  readonly #backoff = new Backoff(retryBackoff);
  #closed = false;

  constructor(options: RevocationListenerOptions) {
    this.#options = options;
    this.#hosts = new Hosts(options.url);
    void this.#listen();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRetry?.();
    await this.#client?.end().catch(() => undefined);
  }

  async #listen(): Promise<void> {
    const url = this.#hosts.current;
    const client = new Client({
      connectionString: url,
      application_name: "sessiond listener",
      connectionTimeoutMillis: this.#options.connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    });
    this.#client = client;
    let lost = false;
    const onLost = (error?: unknown) => {
      if (lost || this.#closed) return;
      lost = true;
      // Also leaves a standby, which refuses LISTEN.
      this.#hosts.leave(url);
      this.#options.onTrouble(error ?? new Error("the connection that listens for revocations was closed"));
      client.end().catch(() => undefined);
      this.#cancelRetry = this.#options.clock.after(this.#backoff.nextMs(), () => void this.#listen());
    };
    client.on("error", onLost).on("end", () => onLost());
    client.on("notification", ({ payload = "" }) => this.#notified(payload));
    try {
      await client.connect();
      await client.query(`listen ${revocationChannel}`);
      this.#backoff.reset();
      // Revocations may have been committed while the connection was down.
      this.#options.onChange(undefined);
    } catch (error) {
      onLost(error);
    }
  }

  #notified(payload: string): void {
    const [projectId = "", sender] = payload.split(" ");
    if (sender !== this.#options.sender) this.#options.onChange(parseProjectId(projectId));
  }
}
