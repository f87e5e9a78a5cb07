import { once } from "node:events";
import { createServer } from "node:net";

/** Asks the operating system for a free port on loopback. Another process may take it before it is used. */
export async function freePort(): Promise<number> {
  const server = createServer().listen({ host: "127.0.0.1", port: 0, exclusive: true });
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("A TCP listener has no port.");
  return address.port;
}
