import { type ServerHttp2Session, type ServerHttp2Stream, constants } from "node:http2";
import type { Socket } from "node:net";
import { addAbortSignal } from "node:stream";
import type { ListenerLimits } from "./limits.ts";
import { type Conversation, endStreamsOnHalfClose } from "./slow-readers.ts";

/**
 * An HTTP/2 connection with its open streams. Closes itself, GOAWAY first, after `sessionIdleTimeoutMs` without a stream. This
 * includes connections whose first headers never become complete, because they open no stream.
 */
export class Http2Connection implements Conversation<ServerHttp2Stream> {
  readonly answers = new Set<ServerHttp2Stream>();
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #limits: ListenerLimits;

  constructor(
    session: ServerHttp2Session,
    socket: Socket,
    limits: ListenerLimits,
    timeouts: RequestTimeouts,
  ) {
    this.#session = session;
    this.#socket = socket;
    this.#limits = limits;
    const handshake = setTimeout(this.cut, limits.prefaceTimeoutMs).unref();
    // The limits in our SETTINGS hold only after the client has acknowledged them (RFC 9113, 6.5.3).
    session.once("localSettings", () => clearTimeout(handshake));
    const idle = setTimeout(() => this.#closeIfIdle(), limits.sessionIdleTimeoutMs).unref();
    socket.once("close", () => {
      clearTimeout(handshake);
      clearTimeout(idle);
    });
    const { answers } = this;
    // A header block that will never be complete keeps a closing session open: only open streams are waited for.
    socket.once("end", () => (answers.size === 0 ? session.destroy() : session.close()));
    endStreamsOnHalfClose(socket, this);
    function onStreamClose(this: ServerHttp2Stream): void {
      timeouts.forget(this);
      answers.delete(this);
      if (answers.size === 0) idle.refresh();
    }
    session.on("stream", (stream) => {
      answers.add(stream);
      timeouts.watch(stream);
      stream.on("close", onStreamClose);
    });
  }

  /** Resets the stream, and cuts the connection if its client, which answers no PING in time, does not read the reset either. */
  readonly giveUp = (stream: ServerHttp2Stream): void => {
    reset(stream);
    if (this.#session.destroyed) return;
    const timer = setTimeout(this.cut, this.#limits.unreadTimeoutMs).unref();
    // False if too many earlier PINGs are unanswered, whose timers are running.
    const isSent = this.#session.ping(() => clearTimeout(timer));
    if (!isSent) clearTimeout(timer);
  };

  readonly cut = (): void => void this.#socket.destroy();

  #closeIfIdle(): void {
    if (this.answers.size > 0) return;
    this.#session.close();
    const linger = setTimeout(this.cut, this.#limits.lingerTimeoutMs).unref();
    this.#socket.once("close", () => clearTimeout(linger));
  }
}

/**
 * Resets HTTP/2 streams whose request is not complete in time. A stream whose answer is under way gets the same time again,
 * because a client can keep its half open even after the answer. One timer serves all streams, because nearly all end in time.
 */
export class RequestTimeouts {
  readonly #timeoutMs: number;
  readonly #timer: NodeJS.Timeout;
  /** Start of each stream's time, oldest first. */
  readonly #since = new Map<ServerHttp2Stream, number>();

  /** `timeoutMs` is kept to within a quarter. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#timer = setInterval(() => this.#sweep(), Math.max(1, timeoutMs / 4)).unref();
  }

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
      else reset(stream);
    }
  }
}

/**
 * Resets a stream with CANCEL. A stream that is being written is destroyed, because `stream.close(code)` after two quick writes
 * was seen to spin in Node's native code; only an abort makes Node send CANCEL for it.
 */
function reset(stream: ServerHttp2Stream): void {
  const isWriting = stream.headersSent && !stream.writableFinished;
  if (isWriting) addAbortSignal(AbortSignal.abort(), stream);
  else stream.close(constants.NGHTTP2_CANCEL);
}
