import { once } from "node:events";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { type Harm, RelayedConnection, type Way } from "./relayed-connection.ts";

/** A way to a database, or to a service, that can be cut, as networks are. */
export interface Relay {
  /** The database's URL by this way. */
  readonly url: string;
  /** Ends every connection, and new ones before they reach the database. */
  cut(): void;
  /** Ends each new connection as soon as the database has said that it is ready for it. */
  breakWhenReady(): void;
  /** Keeps connections, old and new, but passes nothing on, not even that one side has gone. */
  fallSilent(): void;
  /** Holds what comes from either side for so many milliseconds. */
  slowDown(delay: number): void;
  /**
   * Has the next statement whose text matches come to harm, if need be only right behind one that matches `after`; resolves when
   * it has.
   */
  harm(harm: Harm, statement: RegExp, after?: RegExp): Promise<void>;
  /** Passes everything on again, and at once; connections that were silent stay so. */
  mend(): void;
  close(): Promise<void>;
}

/** Starts a relay on a free port of loopback. */
export async function startRelay(targetUrl: string): Promise<Relay> {
  const target = new URL(targetUrl);
  const isDatabase = target.protocol.startsWith("postgres");
  const connections = new Set<RelayedConnection>();
  /** Those that were silent from the start. */
  const silent = new Set<Socket>();
  let mode: "pass" | "cut" | "break" | "silent" = "pass";
  let delay = 0;
  let trap: { harm: Harm; statement: RegExp; after: RegExp; done: () => void } | undefined;

  const way: Way = {
    delay: () => delay,
    breaks: () => mode === "break",
    harmFor: (statement, before) => {
      if (trap === undefined || !trap.statement.test(statement) || !trap.after.test(before)) return undefined;
      const sprung = trap;
      trap = undefined;
      return sprung;
    },
  };
  const server = createServer({ noDelay: true }, (inbound) => {
    inbound.on("error", () => undefined);
    if (mode === "cut") {
      inbound.destroy();
    } else if (mode === "silent") {
      silent.add(inbound.resume().on("close", () => silent.delete(inbound)));
    } else {
      const outbound = connect({ port: Number(target.port), host: target.hostname, noDelay: true });
      outbound.on("error", () => undefined);
      const connection = new RelayedConnection(inbound, outbound, way, !isDatabase);
      connections.add(connection);
      void connection.ended.then(() => connections.delete(connection));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(targetUrl);
  url.port = String((server.address() as AddressInfo).port);

  const breakAll = () => [...connections, ...silent].forEach((connection) => connection.destroy());
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
    fallSilent: () => {
      mode = "silent";
      for (const connection of connections) connection.fallSilent();
    },
    slowDown: (milliseconds) => (delay = milliseconds),
    harm: (harm, statement, after = /(?:)/) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      trap = { harm, statement, after, done: resolve };
      return promise;
    },
    mend: () => {
      mode = "pass";
      delay = 0;
    },
    close: async () => {
      breakAll();
      server.close();
      await once(server, "close");
    },
  };
}
