import type { Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { Answers, SentStatements } from "./postgres-messages.ts";

/**
 * What may happen to a statement, and to whatever is sent after it, once those before it are answered. `lost`: its connection is
 * reset before the database has it. `unanswered`: its connection is reset when the database is through with it, before the
 * answer. `silence`: its connection falls silent before the database has it, and neither side hears that the other has gone.
 */
export type Harm = "lost" | "unanswered" | "silence";

/** What is done to the bytes on their way, which may change at any time. */
export interface Way {
  /** How long they are held, in milliseconds. */
  readonly delay: () => number;
  /** Whether the connection is ended when the database has said that it is ready for it. */
  readonly breaks: () => boolean;
  /** The harm for a statement, told with the text of the one before it; and whom to tell that it is done. */
  readonly harmFor: (
    statement: string,
    before: string,
  ) => { readonly harm: Harm; readonly done: () => void } | undefined;
}

/** One connection through a relay, to a database unless it is `opaque`. */
export class RelayedConnection {
  readonly #inbound: Socket;
  readonly #outbound: Socket;
  readonly #way: Way;
  readonly #statements: SentStatements | undefined;
  readonly #answers: Answers | undefined;
  /** Whether anything goes on from either side. */
  #requestsPass = true;
  #answersPass = true;
  #before = "";
  /** How many statements wait for their answer. */
  #unanswered = 0;
  /** Runs when none does any more. */
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

  /** Passes nothing on any more, not even that one side has gone. */
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
    const trap = statement === undefined ? undefined : this.#way.harmFor(statement, this.#before);
    if (trap !== undefined) return this.#harm(trap.harm, bytes, trap.done);
    this.#outbound.write(bytes);
    if (statement === undefined) return;
    this.#before = statement;
    this.#unanswered++;
  }

  #harm(harm: Harm, bytes: Buffer, done: () => void): void {
    this.#requestsPass = false;
    if (harm === "unanswered") this.#outbound.write(bytes);
    this.#whenAnswered = () => {
      this.#answersPass = false;
      if (harm === "silence") return done();
      // The database is through with what it got when it takes notice of this end, by its own.
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

  /** Chunks from one side, late; they end with it, however it ends. */
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
