import { once } from "node:events";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { type Fault, RelayedConnection, type Way } from "./relayed-connection.ts";

/** A TCP proxy to a database or service, with network faults. */
export interface Relay {
  readonly url: string;
  /** Closes all connections, and new ones before they reach the target. */
  cut(): void;
  /** Closes each new connection when the database is ready for its first statement. */
  breakWhenReady(): void;
  /** Keeps all connections open but forwards nothing, not even a close. */
  fallSilent(): void;
  /** Delays data in both directions, in milliseconds. */
  slowDown(delay: number): void;
  /**
   * Injects a fault at the next statement that matches, if the statement before it matches `after`. Resolves when
   * injected.
   */
  injectFault(fault: Fault, statement: RegExp, after?: RegExp): Promise<void>;
  /** Forwards everything again without delay. Silent connections stay silent. */
  mend(): void;
  close(): Promise<void>;
}

export async function startRelay(targetUrl: string): Promise<Relay> {
  const target = new URL(targetUrl);
  const isDatabase = target.protocol.startsWith("postgres");
  const connections = new Set<RelayedConnection>();
  /** Connections that were silent from the start. */
  const silent = new Set<Socket>();
  let mode: "pass" | "cut" | "break" | "silent" = "pass";
  let delay = 0;
  let trap: { fault: Fault; statement: RegExp; after: RegExp; done: () => void } | undefined;

  const way: Way = {
    delay: () => delay,
    breaks: () => mode === "break",
    faultFor: (statement, before) => {
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
    injectFault: (fault, statement, after = /(?:)/) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      trap = { fault, statement, after, done: resolve };
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
