import { type Attack, waitForCut } from "./attack.ts";
import { attackers, flood } from "./attacker.ts";

/** Ways to hold or fill an HTTP/1.1 connection. */
export const http1Attacks: readonly Attack[] = [
  {
    name: "5,000 idle connections, some with half a request",
    size: 5000,
    async run(prey, size) {
      const held = await attackers(prey, size);
      const beginnings = ["", "GET /", "GET / HTTP/1.1\r\nHost: a\r\n", "PRI * HTTP/2.0\r\n\r\n"];
      for (const [i, { socket }] of held.entries()) socket.write(beginnings[i % beginnings.length] ?? "");
      return held;
    },
  },
  {
    name: "headers that come slowly",
    size: 200,
    patience: "headers",
    async run(prey, size) {
      const held = await attackers(prey, size, true, "http/1.1");
      for (const { socket } of held) {
        socket.write("GET / HTTP/1.1\r\nHost: a\r\n");
        const drip = setInterval(() => socket.write("x: y\r\n"), 500);
        socket.once("close", () => clearInterval(drip));
      }
      return held;
    },
  },
  {
    name: "bodies that come slowly",
    size: 200,
    patience: "request",
    async run(prey, size) {
      const held = await attackers(prey, size, true, "http/1.1");
      for (const { socket } of held) {
        socket.write(
          `POST /session.v1.SessionService/Create HTTP/1.1\r\nHost: a\r\nAuthorization: ${prey.basic}\r\n` +
            "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n",
        );
        const drip = setInterval(() => socket.write(" "), 500);
        socket.once("close", () => clearInterval(drip));
      }
      return held;
    },
  },
  {
    name: "requests without end, and no answer read",
    size: 100,
    async run(prey, size) {
      const held = await attackers(prey, size, false, "http/1.1");
      const request = Buffer.from(
        "GET /session/v1/projects/home/jwks HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20),
      );
      await Promise.all(held.map((attacker) => flood(attacker, 500, () => request)));
      await waitForCut(held);
      return held;
    },
  },
];
