import { gzipSync } from "node:zlib";
import { type Attack, type Prey, attackers, flood, waitForCut } from "./attacker.ts";

/** Inflates to 64 MB. */
export const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));

/** Start of a JSON request whose body follows. */
function post({ basic }: Prey, path: string, headers: string): string {
  return (
    `POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${basic}\r\n` +
    `Content-Type: application/json\r\n${headers}\r\n\r\n`
  );
}

/** Sends the start of a request, then a small piece twice a second. */
function dripping(
  name: string,
  patience: "headers" | "request",
  start: (prey: Prey) => string,
  piece: string,
): Attack {
  return {
    name,
    size: 200,
    patience,
    async run(prey, size) {
      const held = await attackers(prey, size);
      for (const { socket } of held) {
        socket.write(start(prey));
        const drip = setInterval(() => socket.write(piece), 500);
        socket.once("close", () => clearInterval(drip));
      }
      return held;
    },
  };
}

function bombing(name: string, path: string): Attack {
  return {
    name,
    size: 20,
    async run(prey, size) {
      const held = await attackers(prey, size);
      const head = post(prey, path, `Content-Encoding: gzip\r\nContent-Length: ${bomb.length}`);
      const request = Buffer.concat([Buffer.from(head), bomb]);
      await Promise.all(held.map((attacker) => flood(attacker, 5, () => request)));
      return held;
    },
  };
}

export const http1Attacks: readonly Attack[] = [
  {
    name: "5,000 idle connections, some with half a request",
    size: 5000,
    async run(prey, size) {
      const held = await attackers(prey, size);
      const starts = ["", "GET /", "GET / HTTP/1.1\r\nHost: a\r\n", "PRI * HTTP/2.0\r\n\r\n"];
      for (const [i, { socket }] of held.entries()) socket.write(starts[i % starts.length] ?? "");
      return held;
    },
  },
  dripping("slow headers", "headers", () => "GET / HTTP/1.1\r\nHost: a\r\n", "x: y\r\n"),
  dripping(
    "slow bodies",
    "request",
    (prey) => post(prey, "/session.v1.SessionService/Create", "Content-Length: 1000000"),
    " ",
  ),
  {
    name: "endless requests, answers unread",
    size: 100,
    async run(prey, size) {
      const held = await attackers(prey, size, false);
      const request = Buffer.from(
        "GET /session/v1/projects/home/jwks HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20),
      );
      await Promise.all(held.map((attacker) => flood(attacker, 500, () => request)));
      await waitForCut(held);
      return held;
    },
  },
  bombing("gzip bombs in Connect", "/session.v1.SessionService/Create"),
  bombing("gzip bombs in REST", "/session/v1/sessions"),
];
