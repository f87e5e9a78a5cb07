import type { Socket } from "node:net";
import type { CallSource } from "./call-source.ts";
import type { Connection } from "./connection.ts";
import {
  clientPreface,
  flag,
  frame,
  frameHeaderLength,
  frameType,
  receiveWindow,
  windowUpdate,
} from "./frames.ts";
import { type GrpcCall, outcomeOf } from "./grpc-outcome.ts";
import { encodeRequests } from "./hpack.ts";
import type { Job } from "./job.ts";
import type { Tally } from "./tally.ts";

/**
 * One connection that makes gRPC calls, always as many at a time as the job says. It speaks just enough HTTP/2 for that, and
 * so is several times cheaper than `node:http2`, whose client would be slower than the servers it is to measure.
 */
export class Http2Connection implements Connection {
  readonly #socket: Socket;
  readonly #job: Job;
  readonly #source: CallSource;
  readonly #tally: Tally;
  readonly #calls = new Map<number, GrpcCall>();
  readonly #requests: ReturnType<typeof encodeRequests>;
  #nextStream = 1;
  #stopped = false;
  /** Frames that have not been given to the socket yet. */
  readonly #out: Buffer[] = [];
  /** The beginning of a frame whose end has not arrived. */
  #rest: Buffer = Buffer.alloc(0);
  /** Bytes of DATA that we may send, and that we received since we last said that the peer may send more. */
  #sendWindow = 65_535;
  #received = 0;
  #lost: string | undefined;

  constructor(socket: Socket, job: Job, source: CallSource, tally: Tally) {
    this.#socket = socket;
    this.#job = job;
    this.#source = source;
    this.#tally = tally;
    const { host } = new URL(job.url);
    this.#requests = encodeRequests([
      [":method", "POST"],
      [":scheme", "http"],
      [":path", job.path],
      [":authority", host],
      ["content-type", "application/grpc+proto"],
      ["te", "trailers"],
      ...Object.entries(job.headers),
    ]);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", (error) => (this.#lost ??= error.message));
    socket.on("close", () => this.#close());
    this.#out.push(clientPreface());
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  start(): void {
    this.#fill();
    this.#flush();
  }

  stop(): void {
    this.#stopped = true;
  }

  #fill(): void {
    while (!this.#stopped && this.#calls.size < this.#job.streams && this.#sendWindow > 16_384) {
      const body = this.#source.nextBody();
      if (body === undefined) this.#stopped = true;
      else this.#call(body);
    }
  }

  #call(body: Buffer): void {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.#calls.set(stream, { start: performance.now(), body: [] });
    this.#sendWindow -= body.length;
    this.#out.push(
      frame(
        frameType.headers,
        flag.endHeaders,
        stream,
        stream === 1 ? this.#requests.first : this.#requests.later,
      ),
      frame(frameType.data, flag.endStream, stream, body),
    );
  }

  #flush(): void {
    if (this.#out.length === 0) return;
    this.#socket.write(Buffer.concat(this.#out));
    this.#out.length = 0;
  }

  #receive(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= frameHeaderLength) {
      const end = at + frameHeaderLength + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      this.#take(
        bytes[at + 3] ?? 0,
        bytes[at + 4] ?? 0,
        bytes.readUInt32BE(at + 5) & 0x7f_ff_ff_ff,
        bytes.subarray(at + frameHeaderLength, end),
      );
      at = end;
    }
    this.#rest = bytes.subarray(at);
    this.#fill();
    this.#flush();
  }

  #take(type: number, flags: number, stream: number, payload: Buffer): void {
    switch (type) {
      case frameType.headers:
        // Neither is of use to a server that answers a call, and none here sends them.
        if ((flags & flag.endHeaders) === 0 || (flags & ~(flag.endHeaders | flag.endStream)) !== 0) {
          throw new Error("the peer sent padded, prioritised or continued headers");
        }
        return this.#takePart(stream, { headers: payload }, flags);
      case frameType.data:
        this.#received += payload.length;
        if (this.#received > receiveWindow / 2) {
          this.#out.push(windowUpdate(this.#received));
          this.#received = 0;
        }
        return this.#takePart(stream, { data: payload }, flags);
      case frameType.rstStream:
        return this.#end(stream, `reset ${payload.readUInt32BE()}`);
      case frameType.windowUpdate:
        if (stream === 0) this.#sendWindow += payload.readUInt32BE() & 0x7f_ff_ff_ff;
        return;
      case frameType.settings:
      case frameType.ping:
        if ((flags & flag.ack) === 0) {
          this.#out.push(frame(type, flag.ack, 0, type === frameType.ping ? payload : Buffer.alloc(0)));
        }
        return;
      case frameType.goAway:
        this.#stopped = true;
        this.#lost ??= `told to go away with code ${payload.readUInt32BE(4)}`;
        return;
      default: // nothing that matters here
    }
  }

  #takePart(
    stream: number,
    part: { readonly headers: Buffer } | { readonly data: Buffer },
    flags: number,
  ): void {
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    if ("data" in part) {
      if (this.#job.expect !== undefined) call.body.push(part.data);
    } else if (call.headers === undefined) {
      call.headers = part.headers;
    } else {
      call.trailers = part.headers;
    }
    if (flags & flag.endStream) this.#end(stream, outcomeOf(call, this.#job.expect));
  }

  #end(stream: number, outcome: string): void {
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    this.#calls.delete(stream);
    this.#tally.ended(outcome, call.start);
  }

  #close(): void {
    const why = this.#lost === undefined ? "connection lost" : `connection lost: ${this.#lost}`;
    for (const stream of this.#calls.keys()) this.#end(stream, why);
    this.#stopped = true;
  }
}
