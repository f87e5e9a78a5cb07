import type { Socket } from "node:net";
import type { CallSource } from "./call-source.ts";
import type { Connection } from "./connection.ts";
import type { Job } from "./job.ts";
import type { Tally } from "./tally.ts";

/** One connection that makes HTTP/1.1 calls, one after the other, and is kept open between them. */
export class Http1Connection implements Connection {
  readonly #socket: Socket;
  readonly #job: Job;
  readonly #source: CallSource;
  readonly #tally: Tally;
  readonly #head: string;
  #start: number | undefined;
  #stopped = false;
  #received: Buffer = Buffer.alloc(0);
  #lost: string | undefined;

  constructor(socket: Socket, job: Job, source: CallSource, tally: Tally) {
    this.#socket = socket;
    this.#job = job;
    this.#source = source;
    this.#tally = tally;
    const headers = { host: new URL(job.url).host, ...job.headers };
    this.#head = `${job.method ?? "POST"} ${job.path} HTTP/1.1\r\n${linesOf(headers)}`;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", (error) => (this.#lost ??= error.message));
    socket.on("close", () => {
      this.#stopped = true;
      this.#end(this.#lost === undefined ? "connection lost" : `connection lost: ${this.#lost}`);
    });
  }

  get inFlight(): number {
    return this.#start === undefined ? 0 : 1;
  }

  start(): void {
    if (this.#stopped) return;
    const body = this.#source.nextBody();
    if (body === undefined) return;
    const length = this.#job.method === "GET" ? "" : `content-length: ${body.length}\r\n`;
    const head = Buffer.from(`${this.#head}${linesOf(this.#source.headers)}${length}\r\n`, "latin1");
    this.#start = performance.now();
    this.#socket.write(Buffer.concat([head, body]));
  }

  stop(): void {
    this.#stopped = true;
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const answer = readAnswer(this.#received);
    if (answer === undefined) return;
    this.#received = Buffer.alloc(0);
    const { expect } = this.#job;
    if (answer.status !== 200) {
      this.#end(`http ${answer.status}`);
    } else if (expect !== undefined && !answer.body.includes(expect, 0, "latin1")) {
      this.#end("unexpected answer");
    } else {
      this.#end("ok");
    }
    this.start();
  }

  #end(outcome: string): void {
    if (this.#start === undefined) return;
    this.#tally.ended(outcome, this.#start);
    this.#start = undefined;
  }
}

function linesOf(headers: Readonly<Record<string, string>>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
}

const endOfHead = Buffer.from("\r\n\r\n");
const endOfChunks = Buffer.from("0\r\n\r\n");

/** An answer, or undefined while it is not complete. Nothing follows it: one call is in flight at a time. */
function readAnswer(bytes: Buffer): { readonly status: number; readonly body: Buffer } | undefined {
  const end = bytes.indexOf(endOfHead);
  if (end < 0) return undefined;
  const head = bytes.toString("latin1", 0, end + 2);
  const status = Number(head.slice(9, 12));
  const body = bytes.subarray(end + endOfHead.length);
  const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1];
  if (length !== undefined) return body.length < Number(length) ? undefined : { status, body };
  if (/\r\ntransfer-encoding: *chunked\r\n/i.test(head)) {
    return body.subarray(-endOfChunks.length).equals(endOfChunks) ? { status, body } : undefined;
  }
  return { status, body };
}
