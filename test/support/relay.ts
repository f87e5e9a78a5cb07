import { once } from "node:events";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";

/** A way to a database that can be cut, as networks are. */
export interface Relay {
  /** The database's URL by this way. */
  readonly url: string;
  /** Ends every connection, and new ones before they reach the database. */
  cut(): void;
  /** Ends each new connection as soon as the database has said that it is ready for it. */
  breakWhenReady(): void;
  /** Keeps connections, old and new, but passes nothing on. */
  fallSilent(): void;
  /** Passes everything on again; connections that were silent stay so. */
  mend(): void;
  close(): Promise<void>;
}

/** Tag and length of the message that ends a connection's start; its last byte says that no transaction is open. */
const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

/** Starts a relay on a free port of loopback. */
export async function startRelay(databaseUrl: string): Promise<Relay> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let mode: "pass" | "cut" | "break" | "silent" = "pass";

  const track = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  };
  const server = createServer((inbound) => {
    track(inbound);
    if (mode === "cut") inbound.destroy();
    if (mode === "cut" || mode === "silent") return;
    const outbound = track(connect(Number(target.port), target.hostname));
    const end = () => [inbound, outbound].forEach((socket) => socket.destroy());
    inbound.on("close", end).on("data", (data) => mode === "silent" || outbound.write(data));
    outbound.on("close", end).on("data", (data) => {
      if (mode === "silent") return;
      if (mode === "break" && data.includes(readyForQuery)) inbound.end(data);
      else inbound.write(data);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(databaseUrl);
  url.port = String((server.address() as AddressInfo).port);

  const breakAll = () => sockets.forEach((socket) => socket.destroy());
  return {
    url: url.href,
    cut: () => {
      mode = "cut";
      breakAll();
    },
    breakWhenReady: () => {
      mode = "break";
      breakAll();
    },
    fallSilent: () => (mode = "silent"),
    mend: () => (mode = "pass"),
    close: async () => {
      breakAll();
      server.close();
      await once(server, "close");
    },
  };
}
