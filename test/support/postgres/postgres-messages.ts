/** Messages of a Postgres client, up to where it waits for an answer. */
export interface Sent {
  readonly bytes: Buffer;
  /** Text of the statement, or "" for the start of a connection. Undefined for messages without such an answer. */
  readonly statement: string | undefined;
}

/** Major version of the protocol. Other first messages request encryption or a cancellation. */
const protocolVersion = 3;

/** Parses the messages of a client on one unencrypted connection, from chunks of any size. */
export class SentStatements {
  readonly #messages = new Messages(false);
  readonly #prepared = new Map<string, string>();
  #bytes: Buffer[] = [];
  #statement: string | undefined;

  /** Messages that this chunk completes. */
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

export class Answers {
  readonly #messages = new Messages(true);

  /** Messages that this chunk completes. `isLast`: the database is ready for the next statement. */
  *read(chunk: Buffer): Generator<{ readonly bytes: Buffer; readonly isLast: boolean }> {
    for (const bytes of this.#messages.read(chunk)) yield { bytes, isLast: tagOf(bytes) === "Z" };
  }
}

const tagOf = (message: Buffer) => String.fromCharCode(message[0] ?? 0);

/** Splits chunks into messages: an optional tag of one byte, then the length. */
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
