/** What a client of Postgres sent, up to where it wants an answer. */
export interface Sent {
  readonly bytes: Buffer;
  /** The text of the statement that it runs; undefined for what runs none, such as a login. */
  readonly statement: string | undefined;
}

/** The protocol's version 3, in the two bytes that say so: other first messages ask for encryption, or to cancel something. */
const protocolVersion = 3;

/** Takes apart what comes over one unencrypted connection, in chunks of whatever size. */
export class SentStatements {
  readonly #prepared = new Map<string, string>();
  #rest: Buffer = Buffer.alloc(0);
  #started = false;
  /** Bytes of the messages since the last one that wants an answer, and the statement among them. */
  #bytes: Buffer[] = [];
  #statement: string | undefined;

  /** What is complete with this chunk. */
  *read(chunk: Buffer): Generator<Sent> {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (let message = this.#next(); message !== undefined; message = this.#next()) {
      this.#bytes.push(message);
      const type = this.#started ? String.fromCharCode(message[0] ?? 0) : "";
      if (this.#started) this.#note(type, message.toString("utf8", 5).split("\0"));
      else this.#started = message.readUInt16BE(4) === protocolVersion;
      if (!"PBDE".includes(type) || type === "") yield this.#take();
    }
  }

  /** Parse names a statement, Bind runs the named one, Query runs its text. */
  #note(type: string, [first = "", second = ""]: readonly string[]): void {
    if (type === "P") this.#prepared.set(first, second);
    if (type === "B") this.#statement = this.#prepared.get(second);
    if (type === "Q") this.#statement = first;
  }

  #next(): Buffer | undefined {
    const tag = this.#started ? 1 : 0;
    if (this.#rest.length < tag + 4) return undefined;
    const length = tag + this.#rest.readUInt32BE(tag);
    if (this.#rest.length < length) return undefined;
    const message = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return message;
  }

  #take(): Sent {
    const sent = { bytes: Buffer.concat(this.#bytes), statement: this.#statement };
    this.#bytes = [];
    this.#statement = undefined;
    return sent;
  }
}
