import type { Socket } from "node:net";
import { headerBlock, preface } from "../../support/fixtures/http2-bytes.ts";
import type { Call } from "./calls.ts";
import type { Job } from "./job.ts";
import type { Tally } from "./tally.ts";

const frameTypes = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;
const flags = { endStream: 1, ack: 1, endHeaders: 4 } as const;
const tableSizeUpdate = 0x20;
const status200 = 0x88;
/** The end of a header block whose last value is "0": length and text. */
const endsInZero = Buffer.from([1, 0x30]);

/**
 * Sends one request over and over with other bodies on one HTTP/2 connection. It is no HTTP/2 client: headers are encoded
 * once, without compression, and of an answer only what marks success is read. With a header table of size 0 status 200 is
 * always the same first byte, and `grpc-status: 0` always ends the trailers in the same bytes; everything else is a failure.
 * Node's own client takes about as much CPU for a call as the server under test.
 */
export class Http2Replay {
  readonly #socket: Socket;
  readonly #job: Job;
  readonly #next: () => Call | undefined;
  readonly #tally: Tally;
  readonly #headers: Buffer;
  readonly #calls = new Map<number, { readonly start: number; ok: boolean; expected: boolean }>();
  #streamId = -1;
  #received: Buffer = Buffer.alloc(0);
  #stopped = false;

  constructor(socket: Socket, job: Job, next: () => Call | undefined, tally: Tally) {
    this.#socket = socket;
    this.#job = job;
    this.#next = next;
    this.#tally = tally;
    this.#headers = headerBlock({
      ":method": job.method,
      ":scheme": "http",
      ":path": job.path,
      ":authority": new URL(job.url).host,
      ...(job.protocol === "grpc" ? { "content-type": "application/grpc+proto", te: "trailers" } : {}),
      ...job.headers,
    });
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#stopped = true;
      for (const id of this.#calls.keys()) this.#end(id, "connection lost");
    });
    // No header table, and windows that no job fills.
    const settings = Buffer.from("00010000000000047fffffff", "hex");
    const windowUpdate = Buffer.from("7fff0000", "hex");
    socket.write(
      Buffer.concat([
        Buffer.from(preface),
        frame(frameTypes.settings, 0, 0, settings),
        frame(frameTypes.windowUpdate, 0, 0, windowUpdate),
      ]),
    );
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  start(): void {
    for (let i = 0; i < this.#job.streams; i++) this.#send();
  }

  stop(): void {
    this.#stopped = true;
  }

  #send(): void {
    const call = this.#stopped ? undefined : this.#next();
    if (call === undefined) return;
    const id = (this.#streamId += 2);
    this.#calls.set(id, { start: performance.now(), ok: false, expected: false });
    this.#socket.write(
      Buffer.concat([
        frame(frameTypes.headers, flags.endHeaders, id, this.#headers),
        frame(frameTypes.data, flags.endStream, id, call.body),
      ]),
    );
  }

  #receive(chunk: Buffer): void {
    let bytes = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    this.#socket.cork();
    while (bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3)) {
      const end = 9 + bytes.readUIntBE(0, 3);
      this.#read(bytes[3] ?? 0, bytes[4] ?? 0, bytes.readUInt32BE(5), bytes.subarray(9, end));
      bytes = bytes.subarray(end);
    }
    this.#socket.uncork();
    this.#received = bytes;
  }

  #read(type: number, flag: number, id: number, payload: Buffer): void {
    const call = this.#calls.get(id);
    if (type === frameTypes.settings && (flag & flags.ack) === 0) {
      this.#socket.write(frame(frameTypes.settings, flags.ack, 0, Buffer.alloc(0)));
    } else if (type === frameTypes.ping && (flag & flags.ack) === 0) {
      this.#socket.write(frame(frameTypes.ping, flags.ack, 0, payload));
    } else if (type === frameTypes.goAway) {
      this.#socket.destroy();
    } else if (call !== undefined && type === frameTypes.reset) {
      this.#end(id, "reset");
    } else if (call !== undefined && (type === frameTypes.headers || type === frameTypes.data)) {
      if (type === frameTypes.data) call.expected ||= payload.includes(this.#job.expect, 0, "latin1");
      const isEnd = (flag & flags.endStream) !== 0;
      if (type === frameTypes.headers) {
        if (this.#job.protocol === "http2") {
          call.ok = payload[payload[0] === tableSizeUpdate ? 1 : 0] === status200;
        } else if (isEnd) {
          call.ok = payload.subarray(-endsInZero.length).equals(endsInZero);
        }
      }
      if (isEnd) this.#end(id, !call.ok ? "failed" : call.expected ? "ok" : "unexpected answer");
    }
  }

  #end(id: number, outcome: string): void {
    this.#tally.add(outcome, this.#calls.get(id)?.start ?? NaN);
    this.#calls.delete(id);
    this.#send();
  }
}

/** Faster than the `frame` of the tests: it copies the payload once. */
function frame(type: number, flag: number, streamId: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flag;
  bytes.writeUInt32BE(streamId, 5);
  payload.copy(bytes, 9);
  return bytes;
}
