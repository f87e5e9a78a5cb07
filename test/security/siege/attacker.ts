import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { envelope, frame, headerBlock, preface } from "../../support/fixtures/http2-bytes.ts";

export interface Prey {
  readonly port: number;
  /** Authorization header of a service. */
  readonly basic: string;
}

/** What a hostile client does. */
export interface Attack {
  readonly name: string;
  readonly size: number;
  /** The slow limit that ends it. Only the long siege waits for it. */
  readonly patience?: "headers" | "request" | "unread";
  /** Resolves with its connections after the attack. */
  readonly run: (prey: Prey, size: number) => Promise<readonly Attacker[]>;
}

export interface Attacker {
  readonly socket: Socket;
  /** Resolves when the server has ended or reset it. */
  readonly cut: Promise<void>;
  readonly isCut: () => boolean;
}

/** Connects. Without `reads` it reads no answer. */
async function attack({ port }: Prey, reads: boolean): Promise<Attacker> {
  const socket = connect({ port, host: "127.0.0.1" });
  let over = false;
  const cut = new Promise<void>((resolve) => {
    const end = () => {
      over = true;
      resolve();
    };
    socket.once("end", end).once("close", end);
  });
  socket.on("error", () => {});
  await Promise.race([once(socket, "connect"), cut]);
  if (reads) socket.resume();
  else socket.pause();
  return { socket, cut, isCut: () => over };
}

/** Opens `count` connections, a hundred at a time. */
export async function attackers(prey: Prey, count: number, reads = true): Promise<Attacker[]> {
  const all: Attacker[] = [];
  while (all.length < count) {
    const batch = Array.from({ length: Math.min(100, count - all.length) }, () => attack(prey, reads));
    all.push(...(await Promise.all(batch)));
  }
  return all;
}

export async function waitForCut(attackers: readonly Attacker[]): Promise<void> {
  // The end is visible only after everything before it was read.
  for (const { socket } of attackers) socket.resume();
  await Promise.all(attackers.map(({ cut }) => cut));
}

/** Writes `times` pieces as fast as the server reads them, or until it cuts the connection or stops reading. */
export async function flood(
  { socket, isCut, cut }: Attacker,
  times: number,
  piece: (i: number) => Buffer,
): Promise<void> {
  for (let i = 0; i < times; i++) {
    if (isCut() || socket.destroyed) return;
    if (socket.write(piece(i))) continue;
    const stuck = Promise.withResolvers<"stuck">();
    const timer = setTimeout(() => stuck.resolve("stuck"), 2000);
    const outcome = await Promise.race([once(socket, "drain"), cut, stuck.promise]).catch(() => undefined);
    clearTimeout(timer);
    if (outcome === "stuck") return;
  }
}

export function settingsFrame(entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(6 * entries.length);
  for (const [i, [id, value]] of entries.entries()) {
    payload.writeUInt16BE(id, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  }
  return frame(4, 0, 0, payload);
}

/** First bytes of an HTTP/2 connection: preface, SETTINGS, acknowledgement of the server's SETTINGS. */
export function opening(entries: readonly (readonly [id: number, value: number])[] = []): Buffer {
  return Buffer.concat([Buffer.from(preface), settingsFrame(entries), frame(4, 1, 0)]);
}

/** SETTINGS_INITIAL_WINDOW_SIZE 0: the server may send no answer. */
export const closedWindow = [[4, 0]] as const;

export function grpcHeaders({ basic }: Prey, path: string, more: Record<string, string> = {}): Buffer {
  return headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "h",
    "content-type": "application/grpc+proto",
    te: "trailers",
    authorization: basic,
    ...more,
  });
}

/** A gRPC call with an empty message. */
export function grpcCall(prey: Prey, stream: number, path: string): Buffer {
  return Buffer.concat([
    frame(1, 4, stream, grpcHeaders(prey, path)),
    frame(0, 1, stream, envelope(Buffer.alloc(0))),
  ]);
}
