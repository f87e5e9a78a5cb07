import type { Socket } from "node:net";
import type { ListenerLimits } from "./limits.ts";

/** An unfinished answer: a response of HTTP/1, a stream of HTTP/2. */
export interface Answer {
  readonly headersSent: boolean;
  /** Whether Node has the whole answer. */
  readonly writableEnded: boolean;
  /** Bytes that the client has not read yet. */
  readonly writableLength: number;
}

export interface Conversation<A extends Answer> {
  readonly answers: Set<A>;
  /** Ends one answer; called again while the answer is still unfinished. */
  readonly giveUp: (answer: A) => void;
  readonly cut: () => void;
}

/**
 * Ends answers that clients request and do not read. An answer is given up when its client has read nothing of it for
 * `unreadTimeoutMs`; an HTTP/2 client could otherwise keep a stream and its connection open for any time. If more than
 * `maxUnreadBytes` are unread in total, the connections with most of them are cut.
 */
export class UnreadAnswers<A extends Answer> {
  readonly #limits: ListenerLimits;
  readonly #conversations: () => Iterable<Conversation<A>>;
  readonly #timer: NodeJS.Timeout;
  /** Unread bytes at the last sweep, and since when none of them was read. */
  #unread = new Map<A, { readonly length: number; readonly since: number }>();

  constructor(limits: ListenerLimits, conversations: () => Iterable<Conversation<A>>) {
    this.#limits = limits;
    this.#conversations = conversations;
    const intervalMs = Math.max(1, Math.min(500, limits.unreadTimeoutMs / 4));
    this.#timer = setInterval(() => this.#sweep(), intervalMs).unref();
  }

  dispose(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const now = performance.now();
    const previous = this.#unread;
    this.#unread = new Map();
    const connections: { readonly bytes: number; readonly cut: () => void }[] = [];
    let total = 0;
    for (const { answers, giveUp, cut } of this.#conversations()) {
      let bytes = 0;
      for (const answer of answers) {
        const length = answer.writableLength;
        if (length === 0) continue;
        bytes += length;
        const before = previous.get(answer);
        const since = before !== undefined && length >= before.length ? before.since : now;
        this.#unread.set(answer, { length, since });
        if (now - since >= this.#limits.unreadTimeoutMs) giveUp(answer);
      }
      if (bytes > 0) connections.push({ bytes, cut });
      total += bytes;
    }
    if (total <= this.#limits.maxUnreadBytes) return;
    for (const { bytes, cut } of connections.sort((a, b) => b.bytes - a.bytes)) {
      if (total <= this.#limits.maxUnreadBytes) return;
      cut();
      total -= bytes;
    }
  }
}

/** Time between two looks at the answers of a half-closed connection. */
const halfClosedIntervalMs = 100;

/**
 * Ends streams whose client has closed its side of the connection, as a client that was killed does. Answers that end by
 * themselves are still sent: a client may close its side after its request. A stream is recognised by an answer that has
 * begun, has not ended and has nothing to send, twice in a row.
 */
export function endStreamsOnHalfClose<A extends Answer>(socket: Socket, connection: Conversation<A>): void {
  socket.once("end", () => {
    let quiet = new Set<A>();
    const timer = setInterval(() => {
      const still = [...connection.answers].filter(
        (answer) => answer.headersSent && !answer.writableEnded && answer.writableLength === 0,
      );
      for (const answer of still) if (quiet.has(answer)) connection.giveUp(answer);
      quiet = new Set(still);
    }, halfClosedIntervalMs).unref();
    socket.once("close", () => clearInterval(timer));
  });
}
