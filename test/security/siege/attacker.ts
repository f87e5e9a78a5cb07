import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { frame, headerBlock, preface } from "../../support/fixtures/http2-bytes.ts";

/** Whom to attack, and with what rights. */
export interface Prey {
  readonly port: number;
  readonly isTls: boolean;
  /** `authorization` of a service. */
  readonly basic: string;
}

/** A connection of an attacker; reads nothing unless told to. */
export interface Attacker {
  readonly socket: Socket;
  /** Resolves when the other side has ended or reset it. */
  readonly cut: Promise<void>;
  readonly isCut: () => boolean;
  /** Bytes that came, of those that were read. */
  readonly received: () => Buffer;
}

/** Connects; with `reads` it takes what comes. */
export async function attack({ port, isTls }: Prey, reads = true, protocol = "h2"): Promise<Attacker> {
  const socket = isTls
    ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: [protocol] })
    : connect({ port, host: "127.0.0.1" });
  const chunks: Buffer[] = [];
  let size = 0;
  let over = false;
  const cut = new Promise<void>((resolve) => {
    const end = () => {
      over = true;
      resolve();
    };
    socket.once("end", end).once("close", end);
  });
  socket.on("error", () => {});
  await Promise.race([once(socket, isTls ? "secureConnect" : "connect"), cut]);
  if (reads) {
    socket.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size < 100_000) chunks.push(chunk);
    });
  } else {
    socket.pause();
  }
  return { socket, cut, isCut: () => over, received: () => Buffer.concat(chunks) };
}

/** Many at once, a hundred at a time. */
export async function attackers(
  prey: Prey,
  count: number,
  reads = true,
  protocol = "h2",
): Promise<Attacker[]> {
  const all: Attacker[] = [];
  while (all.length < count) {
    const batch = Array.from({ length: Math.min(100, count - all.length) }, () =>
      attack(prey, reads, protocol),
    );
    all.push(...(await Promise.all(batch)));
  }
  return all;
}

/** Writes `times` pieces as fast as the other side takes them, or until it cuts the connection; the number of pieces. */
export async function flood(
  { socket, isCut, cut }: Attacker,
  times: number,
  piece: (i: number) => Buffer,
): Promise<number> {
  for (let i = 0; i < times; i++) {
    if (isCut() || socket.destroyed) return i;
    if (socket.write(piece(i))) continue;
    const stuck = Promise.withResolvers<"stuck">();
    // Bounded by what the other side takes: an attacker that is not read from any more goes on to the next.
    const timer = setTimeout(() => stuck.resolve("stuck"), 2000);
    const outcome = await Promise.race([once(socket, "drain"), cut, stuck.promise]).catch(() => undefined);
    clearTimeout(timer);
    if (outcome === "stuck") return i;
  }
  return times;
}

/** A SETTINGS frame. */
export function settingsFrame(entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(6 * entries.length);
  for (const [i, [id, value]] of entries.entries()) {
    payload.writeUInt16BE(id, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  }
  return frame(4, 0, 0, payload);
}

/** The beginning of an HTTP/2 connection, with its SETTINGS and the acknowledgement of the server's. */
export function opening(entries: readonly (readonly [id: number, value: number])[] = []): Buffer {
  return Buffer.concat([Buffer.from(preface), settingsFrame(entries), frame(4, 1, 0)]);
}

/** SETTINGS_INITIAL_WINDOW_SIZE of nothing: no answer may be sent. */
export const closedWindow = [[4, 0]] as const;

/** The headers of a gRPC call. */
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

/** A whole gRPC call on a stream. */
export function grpcCall(
  prey: Prey,
  stream: number,
  path: string,
  message: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([
    frame(1, 4, stream, grpcHeaders(prey, path)),
    frame(0, 1, stream, Buffer.concat([head, message])),
  ]);
}
