import type { ClientHttp2Stream, Http2Session } from "node:http2";

/** A connection that is silent for this time is pinged: while calls wait, and before the next call. In milliseconds. */
export const pingIntervalMs = 4000;
/** A connection whose peer does not answer a ping in this time is dead. In milliseconds. */
export const pingTimeoutMs = 4000;

/** Checks by pings whether an HTTP/2 connection is alive. */
export class Liveness {
  readonly #session: Http2Session;
  readonly #onDead: (session: Http2Session) => void;
  #openStreams = 0;
  #heardAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #ping: Promise<void> | undefined;

  /** `onDead` is called once a ping is not answered, and has to destroy the session. */
  constructor(session: Http2Session, onDead: (session: Http2Session) => void) {
    this.#session = session;
    this.#onDead = onDead;
    // The session manager may have stopped to listen: an error without a listener would end the process. Calls have it from their streams.
    session.on("error", () => undefined);
  }

  /** Pings while this stream is open and nothing is heard. */
  watch(stream: ClientHttp2Stream): void {
    this.#openStreams++;
    this.#timer ??= setTimeout(() => void this.#tick(), pingIntervalMs);
    stream.once("close", () => {
      this.#openStreams--;
      if (this.#openStreams > 0) return;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    });
  }

  /** Records that data was received. */
  heard(): void {
    this.#heardAt = performance.now();
  }

  /** Resolves at once if something was heard lately, and otherwise when a ping is answered or the session is destroyed. */
  async check(): Promise<void> {
    if (this.#session.destroyed || performance.now() - this.#heardAt < pingIntervalMs) return;
    await (this.#ping ??= this.#sendPing().finally(() => (this.#ping = undefined)));
  }

  async #tick(): Promise<void> {
    const timer = this.#timer;
    await this.check();
    // The last stream was closed meanwhile; another one may have started a new timer.
    if (this.#timer !== timer || this.#session.destroyed) return;
    const dueInMs = pingIntervalMs - (performance.now() - this.#heardAt);
    this.#timer = setTimeout(() => void this.#tick(), Math.max(dueInMs, 1));
  }

  #sendPing(): Promise<void> {
    return new Promise((resolve) => {
      const timeout = setTimeout(() => {
        this.#onDead(this.#session);
        resolve();
      }, pingTimeoutMs);
      this.#session.ping((error) => {
        clearTimeout(timeout);
        if (error === null) this.heard();
        resolve();
      });
    });
  }
}
