import { Client } from "pg";
import type { Clock } from "../../domain/clock.ts";
import { type ProjectId, parseProjectId } from "../../domain/ids.ts";
import { Backoff } from "../../transport/backoff.ts";
import { Hosts } from "../connection/hosts.ts";
import { openSession } from "../connection/session.ts";
import { HearingTest } from "./hearing-test.ts";

/** The channel. A notification names a project that has new revocations, or a test, and its sender. */
export const revocationChannel = "sessiond_revocations";

/** Precedes the nonce of a test. No project id contains a colon. */
export const selfTest = "test:";

export interface RevocationListenerOptions {
  /** Of the database without a pooler: notifications do not pass one that shares connections between transactions. */
  readonly url: string;
  /** Name of this process. It has no use for its own notifications. */
  readonly sender: string;
  /** How long to wait for a connection, in milliseconds. A silent host would otherwise block the next attempt. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  /** Sends a test as this process sends its notifications. */
  readonly sendTest: (nonce: string) => Promise<void>;
  /** Called with a project that has changed; undefined for any project, after notifications may have been missed. */
  readonly onChange: (projectId: ProjectId | undefined) => void;
  /** Called when a test has shown whether notifications arrive, if that has changed; also after the first one. */
  readonly onHearing: (hears: boolean) => void;
  /** Called each time that listening fails. Watchers are served by polling meanwhile. */
  readonly onTrouble: (error: unknown) => void;
}

const retryBackoff = { firstMs: 100, maxMs: 10_000 };

/**
 * Listens for committed revocations on a connection of its own, and reconnects when that is lost. Tests from time to time whether
 * notifications arrive: a pooler may accept LISTEN without effect, and a proxy may lead to another server than the notifications.
 */
export class RevocationListener {
  readonly #options: RevocationListenerOptions;
  readonly #hosts: Hosts;
  readonly #test: HearingTest;
  #client: Client | undefined;
  #cancelRetry: (() => void) | undefined;
  readonly #backoff = new Backoff(retryBackoff);
  #hears: boolean | undefined;
  #closed = false;

  constructor(options: RevocationListenerOptions) {
    this.#options = options;
    this.#hosts = new Hosts(options.url);
    this.#test = new HearingTest({
      clock: options.clock,
      send: options.sendTest,
      onResult: (hears) => this.#heard(hears),
      onDue: () => this.#repeatTest(),
    });
    void this.#listen();
  }

  /** Whether notifications arrive, by the last test; false while the connection is lost. */
  get hears(): boolean {
    return this.#hears === true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRetry?.();
    this.#test.stop();
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
    const onLost = (error?: unknown) => {
      if (client !== this.#client || this.#closed) return;
      this.#leave(client);
      // Also leaves a standby.
      this.#hosts.leave(url);
      this.#hears = undefined;
      this.#options.onTrouble(error ?? new Error("the connection that listens for revocations was closed"));
      this.#cancelRetry = this.#options.clock.after(this.#backoff.nextMs(), () => void this.#listen());
    };
    client.on("error", onLost).on("end", () => onLost());
    client.on("notification", ({ payload = "" }) => this.#notified(payload));
    try {
      await client.connect();
      // Overrides what would end an idle connection, unless it is a pooler's.
      await openSession(client, { statementTimeoutMs: 0, maxSilenceMs: 0 });
      await client.query(`listen ${revocationChannel}`);
      if (client !== this.#client) return;
      this.#backoff.reset();
      // Revocations may have been committed while the connection was down.
      this.#options.onChange(undefined);
      void this.#test.run();
    } catch (error) {
      onLost(error);
    }
  }

  #leave(client: Client): void {
    this.#client = undefined;
    this.#test.stop();
    client.end().catch(() => undefined);
  }

  #notified(payload: string): void {
    const [, subject = "", sender] = /^(\S*) (.*)$/.exec(payload) ?? [];
    if (sender !== this.#options.sender) {
      if (!subject.startsWith(selfTest)) this.#options.onChange(parseProjectId(subject));
    } else if (subject.startsWith(selfTest)) {
      this.#test.arrived(subject.slice(selfTest.length));
    }
  }

  #heard(hears: boolean): void {
    if (hears === this.#hears) return;
    this.#hears = hears;
    this.#options.onHearing(hears);
  }

  /** Tests again. If the last test failed, on a new connection, because this one may lead to the wrong place. */
  #repeatTest(): void {
    const client = this.#client;
    if (this.#hears === true || client === undefined) {
      void this.#test.run();
      return;
    }
    this.#leave(client);
    void this.#listen();
  }
}
