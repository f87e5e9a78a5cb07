import { once } from "node:events";
import { type Socket, connect } from "node:net";

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Status line and headers. */
  readonly head: string;
  readonly body: Buffer;
}

export interface WireRequest {
  readonly bytes: Buffer;
  /** Whether its answer has no body, independent of its headers. */
  readonly isHead: boolean;
}

/** Pipelines requests on a connection of HTTP/1.1. Parses answers strictly. */
export class Pipeline {
  readonly #port: number;
  #socket: Socket | undefined;
  #unread: Buffer = Buffer.alloc(0);

  constructor(port: number) {
    this.#port = port;
  }

  /**
   * Sends all at once and resolves with their answers. Requests behind an answer that closes the connection are sent again on
   * the next one. Rejects if a connection ends unannounced.
   */
  async send(requests: readonly WireRequest[]): Promise<Answer[]> {
    const answers: Answer[] = [];
    while (answers.length < requests.length) {
      const socket = (this.#socket ??= await this.#open());
      const waiting = requests.slice(answers.length);
      for (const { bytes } of waiting) socket.write(bytes);
      for (const { isHead } of waiting) {
        const answer = await this.#read(socket, isHead);
        answers.push(answer);
        if (answer.headers.get("connection") !== "close") continue;
        this.close();
        break;
      }
    }
    return answers;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#unread = Buffer.alloc(0);
  }

  async #open(): Promise<Socket> {
    const socket = connect({ port: this.#port, host: "127.0.0.1", noDelay: true });
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  }

  async #read(socket: Socket, isHead: boolean): Promise<Answer> {
    const head = await this.#until(socket, "\r\n\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
    if (!(status >= 200)) throw new Error(`not an answer: ${JSON.stringify(head.slice(0, 200))}`);
    const headers = new Map(
      head
        .split("\r\n")
        .slice(1, -2)
        .map((line) => {
          const colon = line.indexOf(":");
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
        }),
    );
    const body =
      isHead || status === 204 || status === 304 ? Buffer.alloc(0) : await this.#body(socket, headers);
    return { status, headers, head, body };
  }

  async #body(socket: Socket, headers: ReadonlyMap<string, string>): Promise<Buffer> {
    const length = headers.get("content-length");
    if (length !== undefined) return this.#take(socket, Number(length));
    if (headers.get("transfer-encoding") !== "chunked") throw new Error("an answer without a length");
    const chunks: Buffer[] = [];
    for (;;) {
      const size = Number.parseInt(await this.#until(socket, "\r\n"), 16);
      if (!(size >= 0)) throw new Error("a chunk without a size");
      if (size === 0) break;
      chunks.push(await this.#take(socket, size));
      await this.#until(socket, "\r\n");
    }
    while ((await this.#until(socket, "\r\n")) !== "\r\n");
    return Buffer.concat(chunks);
  }

  async #until(socket: Socket, mark: string): Promise<string> {
    for (;;) {
      const at = this.#unread.indexOf(mark);
      if (at >= 0) return this.#cut(at + mark.length).toString("latin1");
      await this.#more(socket);
    }
  }

  async #take(socket: Socket, length: number): Promise<Buffer> {
    while (this.#unread.length < length) await this.#more(socket);
    return this.#cut(length);
  }

  #cut(length: number): Buffer {
    const cut = this.#unread.subarray(0, length);
    this.#unread = this.#unread.subarray(length);
    return cut;
  }

  #more(socket: Socket): Promise<void> {
    return new Promise((resolve, reject) => {
      const onData = (chunk: Buffer) => {
        socket.off("close", onClose).pause();
        this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
        resolve();
      };
      const onClose = () => {
        this.close();
        reject(new Error("the connection was dropped without an answer"));
      };
      if (socket.destroyed) return onClose();
      socket.once("data", onData).once("close", onClose).resume();
    });
  }
}
