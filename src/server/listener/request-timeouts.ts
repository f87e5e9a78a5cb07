import { type ServerHttp2Stream, constants } from "node:http2";

/**
 * Resets HTTP/2 streams whose request is not complete in time, unless their answer is under way; then they get as long again,
 * because a client can keep its half open even when the answer has ended. One timer for all: nearly every stream is gone long before.
 */
export class RequestTimeouts {
  readonly #timeoutMs: number;
  readonly #timer: NodeJS.Timeout;
  /** Since when each stream has its time, the longest first. */
  readonly #since = new Map<ServerHttp2Stream, number>();

  /** `timeoutMs` is kept to within a quarter. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#timer = setInterval(() => this.#sweep(), Math.max(1, timeoutMs / 4)).unref();
  }

  /** Watches a stream until it is forgotten. */
  watch(stream: ServerHttp2Stream): void {
    if (!stream.endAfterHeaders) this.#since.set(stream, performance.now());
  }

  forget(stream: ServerHttp2Stream): void {
    this.#since.delete(stream);
  }

  dispose(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const now = performance.now();
    for (const [stream, since] of this.#since) {
      if (now - since < this.#timeoutMs) return;
      this.#since.delete(stream);
      if (stream.state.remoteClose === 1) continue;
      const isAnswering = stream.headersSent && !stream.writableEnded;
      if (isAnswering) this.#since.set(stream, now);
      else stream.close(constants.NGHTTP2_CANCEL);
    }
  }
}
