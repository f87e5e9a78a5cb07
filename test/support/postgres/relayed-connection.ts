import type { Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { Answers, SentStatements } from "./postgres-messages.ts";

/**
 * A fault at a statement, injected when earlier statements are answered. `lost`: the connection is reset before the database
 * receives the statement. `unanswered`: the connection is reset after the statement ran, before the answer. `silence`: the
 * connection falls silent before the database receives the statement; neither side sees the other close.
 */
export type Fault = "lost" | "unanswered" | "silence";

/** Faults of the relay, which may change at any time. */
export interface Way {
  /** In milliseconds. */
  readonly delay: () => number;
  /** Whether the connection closes when the database is ready. */
  readonly breaks: () => boolean;
  /** The fault for a statement, given the statement before it. `done` is called when injected. */
  readonly faultFor: (
    statement: string,
    before: string,
  ) => { readonly fault: Fault; readonly done: () => void } | undefined;
}

/** One connection through a relay, to a database unless it is `opaque`. */
export class RelayedConnection {
  readonly #inbound: Socket;
  readonly #outbound: Socket;
  readonly #way: Way;
  readonly #statements: SentStatements | undefined;
  readonly #answers: Answers | undefined;
  /** Whether data of each side is forwarded. */
  #requestsPass = true;
  #answersPass = true;
  #before = "";
  #unanswered = 0;
  /** Runs when all statements are answered. */
  #whenAnswered: (() => void) | undefined;
  /** Resolves when both sides have ended. */
  readonly ended: Promise<unknown>;

  constructor(inbound: Socket, outbound: Socket, way: Way, opaque: boolean) {
    this.#inbound = inbound;
    this.#outbound = outbound;
    this.#way = way;
    this.#statements = opaque ? undefined : new SentStatements();
    this.#answers = opaque ? undefined : new Answers();
    this.ended = Promise.all([this.#passRequests(), this.#passAnswers()]);
  }

  /** Stops forwarding, also of a close. */
  fallSilent(): void {
    this.#requestsPass = false;
    this.#answersPass = false;
  }

  destroy(): void {
    this.#inbound.destroy();
    // A service keeps a half-closed connection for a moment; it ends one that is reset at once.
    if (this.#statements === undefined) this.#outbound.resetAndDestroy();
    else this.#outbound.destroy();
  }

  async #passRequests(): Promise<void> {
    for await (const chunk of this.#chunksFrom(this.#inbound)) {
      if (this.#statements === undefined) this.#request(chunk, undefined);
      else for (const { bytes, statement } of this.#statements.read(chunk)) this.#request(bytes, statement);
    }
    if (this.#requestsPass) this.#outbound.end();
  }

  #request(bytes: Buffer, statement: string | undefined): void {
    if (!this.#requestsPass) return;
    const trap = statement === undefined ? undefined : this.#way.faultFor(statement, this.#before);
    if (trap !== undefined) return this.#injectFault(trap.fault, bytes, trap.done);
    this.#outbound.write(bytes);
    if (statement === undefined) return;
    this.#before = statement;
    this.#unanswered++;
  }

  #injectFault(fault: Fault, bytes: Buffer, done: () => void): void {
    this.#requestsPass = false;
    if (fault === "unanswered") this.#outbound.write(bytes);
    this.#whenAnswered = () => {
      this.#answersPass = false;
      if (fault === "silence") return done();
      // The database closes its side after it ran the statement.
      this.#outbound.end().once("close", () => {
        this.#inbound.resetAndDestroy();
        done();
      });
    };
    if (this.#unanswered === 0) this.#whenAnswered();
  }

  async #passAnswers(): Promise<void> {
    for await (const chunk of this.#chunksFrom(this.#outbound)) {
      if (this.#answers === undefined) this.#answer(chunk, false);
      else for (const { bytes, isLast } of this.#answers.read(chunk)) this.#answer(bytes, isLast);
    }
    if (this.#answersPass) this.#inbound.end();
  }

  #answer(bytes: Buffer, isLast: boolean): void {
    if (!this.#answersPass) return;
    this.#inbound.write(bytes);
    if (!isLast) return;
    if (this.#way.breaks()) this.#inbound.end();
    this.#unanswered--;
    if (this.#unanswered === 0) this.#whenAnswered?.();
  }

  /** Delayed chunks of one side, until it ends in any way. */
  async *#chunksFrom(side: Socket): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of side) {
        const delay = this.#way.delay();
        if (delay > 0) await setTimeout(delay);
        yield chunk as Buffer;
      }
    } catch {
      // Reset.
    }
  }
}
