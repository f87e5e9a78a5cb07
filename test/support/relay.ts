import { once } from "node:events";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { setTimeout } from "node:timers/promises";
import { SentStatements } from "./sent-statements.ts";

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
   * it has. Of a database only.
   */
  harm(harm: Harm, statement: RegExp, after?: RegExp): Promise<void>;
  /** Passes everything on again, and at once; connections that were silent stay so. */
  mend(): void;
  close(): Promise<void>;
}

/**
 * What may happen to a statement, and whatever is sent after it. `lost`: its connection is reset before the database has it.
 * `unanswered`: its connection is reset when the database is through with it, before the answer. `silence`: its connection falls
 * silent before the database has it, and neither side is told that the other has gone.
 */
export type Harm = "lost" | "unanswered" | "silence";

interface Connection {
  readonly inbound: Socket;
  readonly outbound: Socket | undefined;
  /** Whether anything is passed on. */
  passes: boolean;
  /** The text of the last statement. */
  last: string;
}

interface Trap {
  readonly harm: Harm;
  readonly statement: RegExp;
  readonly after: RegExp;
  readonly sprung: () => void;
}

/** Tag and length of the message that ends a connection's start; its last byte says that no transaction is open. */
const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

/** Starts a relay on a free port of loopback. */
export async function startRelay(targetUrl: string): Promise<Relay> {
  const target = new URL(targetUrl);
  const connections = new Set<Connection>();
  let mode: "pass" | "cut" | "break" | "silent" = "pass";
  let delay = 0;
  let trap: Trap | undefined;

  /** Chunks from one side, late; they end with the side, however that ends. */
  async function* chunksFrom(side: Socket): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of side) {
        if (delay > 0) await setTimeout(delay);
        yield chunk as Buffer;
      }
    } catch {
      // Reset.
    }
  }

  /** Takes the trap where this statement springs it. */
  const trapOf = (connection: Connection, statement: string | undefined): Trap | undefined => {
    if (statement === undefined) return undefined;
    const { last } = connection;
    connection.last = statement;
    if (trap === undefined || !trap.statement.test(statement) || !trap.after.test(last)) return undefined;
    const sprung = trap;
    trap = undefined;
    return sprung;
  };

  async function passRequests(connection: Connection, outbound: Socket): Promise<void> {
    const statements = target.protocol.startsWith("postgres") ? new SentStatements() : undefined;
    for await (const chunk of chunksFrom(connection.inbound)) {
      for (const { bytes, statement } of statements?.read(chunk) ?? [
        { bytes: chunk, statement: undefined },
      ]) {
        if (!connection.passes) break;
        const sprung = trapOf(connection, statement);
        if (sprung === undefined || sprung.harm === "unanswered") outbound.write(bytes);
        if (sprung !== undefined) doHarm(connection, outbound, sprung);
      }
    }
    if (connection.passes) outbound.end();
  }

  async function passAnswers(connection: Connection, outbound: Socket): Promise<void> {
    const { inbound } = connection;
    for await (const chunk of chunksFrom(outbound)) {
      if (!connection.passes) continue;
      if (mode === "break" && chunk.includes(readyForQuery)) inbound.end(chunk);
      else inbound.write(chunk);
    }
    if (connection.passes) inbound.end();
  }

  const server = createServer({ noDelay: true }, (inbound) => {
    inbound.on("error", () => undefined);
    if (mode === "cut") return void inbound.destroy();
    const passes = mode !== "silent";
    const outbound = passes
      ? connect({ port: Number(target.port), host: target.hostname, noDelay: true })
      : undefined;
    const connection: Connection = { inbound, outbound, passes, last: "" };
    connections.add(connection);
    if (outbound === undefined) return void inbound.resume();
    outbound.on("error", () => undefined);
    const passing = [passRequests(connection, outbound), passAnswers(connection, outbound)];
    void Promise.all(passing).then(() => connections.delete(connection));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(targetUrl);
  url.port = String((server.address() as AddressInfo).port);

  const breakAll = () => {
    for (const { inbound, outbound } of connections) [inbound, outbound].forEach((side) => side?.destroy());
    connections.clear();
  };
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
      for (const connection of connections) connection.passes = false;
    },
    slowDown: (milliseconds) => (delay = milliseconds),
    harm: (harm, statement, after = /(?:)/) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      trap = { harm, statement, after, sprung: resolve };
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

function doHarm(connection: Connection, outbound: Socket, { harm, sprung }: Trap): void {
  const { inbound } = connection;
  connection.passes = false;
  switch (harm) {
    case "lost":
      outbound.destroy();
      inbound.resetAndDestroy();
      return sprung();
    case "unanswered":
      // The database is through with what it got when it takes notice of this end, by its own.
      outbound.end().once("close", () => {
        inbound.resetAndDestroy();
        sprung();
      });
      return;
    case "silence":
      return sprung();
  }
}
