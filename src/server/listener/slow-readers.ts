import type { ListenerLimits } from "./limits.ts";

/** An answer that is being written: a response of HTTP/1, a stream of HTTP/2. */
export interface Answer {
  /** Bytes that wait for the client to take them. */
  readonly writableLength: number;
}

/** A connection with the answers on it that are not over. */
export interface Conversation<A extends Answer> {
  readonly answers: Iterable<A>;
  /** Ends an answer that nobody takes; called again while it is still there. */
  readonly giveUp: (answer: A) => void;
  /** Ends the connection at once. */
  readonly cut: () => void;
}

/**
 * Ends what clients ask for and do not read. An answer of which nothing was taken for a while is given up: with HTTP/2 a client
 * can have a stream wait for ever and its connection live. And where all that waits is too much, the connections for which most
 * of it waits are cut, whoever they are: the process is everybody's.
 */
export class UnreadAnswers<A extends Answer> {
  readonly #limits: Pick<ListenerLimits, "unreadTimeoutMs" | "maxUnreadBytes">;
  readonly #conversations: () => Iterable<Conversation<A>>;
  readonly #timer: NodeJS.Timeout;
  /** What waited when last looked at, and since when none of it was taken. */
  #waiting = new Map<A, { readonly length: number; readonly since: number }>();

  constructor(
    limits: Pick<ListenerLimits, "unreadTimeoutMs" | "maxUnreadBytes">,
    conversations: () => Iterable<Conversation<A>>,
  ) {
    this.#limits = limits;
    this.#conversations = conversations;
    const interval = Math.max(1, Math.min(500, limits.unreadTimeoutMs / 4));
    this.#timer = setInterval(() => this.#sweep(), interval).unref();
  }

  dispose(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const now = performance.now();
    const waiting = new Map<A, { readonly length: number; readonly since: number }>();
    const connections: { readonly bytes: number; readonly cut: () => void }[] = [];
    let total = 0;
    for (const { answers, giveUp, cut } of this.#conversations()) {
      let bytes = 0;
      for (const answer of answers) {
        const length = answer.writableLength;
        if (length === 0) continue;
        bytes += length;
        const before = this.#waiting.get(answer);
        const since = before !== undefined && length >= before.length ? before.since : now;
        waiting.set(answer, { length, since });
        if (now - since >= this.#limits.unreadTimeoutMs) giveUp(answer);
      }
      if (bytes > 0) connections.push({ bytes, cut });
      total += bytes;
    }
    this.#waiting = waiting;
    if (total > this.#limits.maxUnreadBytes) this.#relieve(connections, total);
  }

  #relieve(connections: { readonly bytes: number; readonly cut: () => void }[], total: number): void {
    let left = total;
    for (const { bytes, cut } of connections.sort((a, b) => b.bytes - a.bytes)) {
      if (left <= this.#limits.maxUnreadBytes) return;
      cut();
      left -= bytes;
    }
  }
}
