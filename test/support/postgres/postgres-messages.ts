/** What a client of Postgres sends, up to where it waits for an answer. */
export interface Sent {
  readonly bytes: Buffer;
  /** The text of the statement that it runs, "" for the start of the connection; undefined for what is not answered like these. */
  readonly statement: string | undefined;
}

/** The protocol's version 3, in two bytes: other first messages ask for encryption, or to cancel something. */
const protocolVersion = 3;

/** Takes apart what a client sends over one unencrypted connection, in chunks of whatever size. */
export class SentStatements {
  readonly #messages = new Messages(false);
  readonly #prepared = new Map<string, string>();
  #bytes: Buffer[] = [];
  #statement: string | undefined;

  /** What is complete with this chunk. */
  *read(chunk: Buffer): Generator<Sent> {
    for (const message of this.#messages.read(chunk)) {
      this.#bytes.push(message);
      if (!this.#messages.tagged) {
        if (message.readUInt16BE(4) !== protocolVersion) {
          yield this.#take(undefined);
        } else {
          this.#messages.tagged = true;
          yield this.#take("");
        }
        continue;
      }
      const tag = tagOf(message);
      const [first = "", second = ""] = message.toString("utf8", 5).split("\0");
      if (tag === "P") this.#prepared.set(first, second);
      if (tag === "B") this.#statement = this.#prepared.get(second);
      if (tag === "Q") this.#statement = first;
      // Parse, Bind, Describe, Execute and Close are answered with the Sync behind them.
      if (!"PBDEC".includes(tag)) yield this.#take(this.#statement);
    }
  }

  #take(statement: string | undefined): Sent {
    const sent = { bytes: Buffer.concat(this.#bytes), statement };
    this.#bytes = [];
    this.#statement = undefined;
    return sent;
  }
}

/** What the database sends, up to where it is ready for the next statement. */
export class Answers {
  readonly #messages = new Messages(true);

  /** Messages that are complete with this chunk; `isLast` where the database has no more to say to one statement. */
  *read(chunk: Buffer): Generator<{ readonly bytes: Buffer; readonly isLast: boolean }> {
    for (const bytes of this.#messages.read(chunk)) yield { bytes, isLast: tagOf(bytes) === "Z" };
  }
}

const tagOf = (message: Buffer) => String.fromCharCode(message[0] ?? 0);

/** Messages as they come out of chunks: a tag of one byte, where they have one, and their length behind it. */
class Messages {
  tagged: boolean;
  #rest: Buffer = Buffer.alloc(0);

  constructor(tagged: boolean) {
    this.tagged = tagged;
  }

  *read(chunk: Buffer): Generator<Buffer> {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const tag = this.tagged ? 1 : 0;
      if (this.#rest.length < tag + 4) return;
      const length = tag + this.#rest.readUInt32BE(tag);
      if (this.#rest.length < length) return;
      const message = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      yield message;
    }
  }
}
