import { type AddressInfo, type Socket, createServer } from "node:net";
import { countedAddress } from "./counted-address.ts";
import { type FailureReporter, guardHandler } from "./guard.ts";
import type { RequestHandler } from "../../transport/http-message.ts";
import { createHttp1 } from "./http1.ts";
import { type StreamTaker, createHttp2 } from "./http2.ts";
import { type ListenerLimits, defaultLimits } from "./limits.ts";
import { introduce } from "./peer.ts";
import { type Protocol, protocolOf, sniff, tlsOrProtocolOf } from "./protocol-sniffer.ts";
import type { ProtocolServer } from "./protocol-server.ts";
import type { TlsMaterial } from "../tls/certificates.ts";
import { type TlsOptions, createTls } from "../tls/tls.ts";
import { refusePlaintext } from "./unparsed.ts";

/** What a listener needs; limits left out take their value from `defaultLimits`. */
export interface ListenerOptions {
  /** Serves every request of both protocols. Wrap the Connect adapter in `safeHost`. */
  handler: RequestHandler;
  /** Sees every HTTP/2 stream before `handler`. */
  takeStream?: StreamTaker | undefined;
  /** With it nothing is spoken on the port but TLS. */
  tls?: TlsOptions | undefined;
  limits?: Partial<ListenerLimits>;
  /** Told what went wrong outside of any answer; by default it goes to standard error. */
  onError?: FailureReporter;
}

/** One TCP port that speaks HTTP/1.1 and HTTP/2, with or without TLS. */
export interface Listener {
  /** Starts to accept connections; rejects if the address cannot be bound. Port 0 takes a free one. */
  listen(at: { host: string; port: number }): Promise<{ address: string; port: number }>;
  /**
   * Stops accepting, tells clients to go elsewhere (GOAWAY, `Connection: close`), closes idle connections at
   * once and the others when their requests have been answered; after `graceMs` it destroys what is left.
   * Resolves when no connection remains. Further calls return the first one's promise.
   */
  drain(graceMs: number): Promise<void>;
  /** How many connections are open. */
  readonly connections: number;
  /** Has new connections use other certificates; where there is TLS. */
  renewTls(material: TlsMaterial): void;
}

/** Creates a listener that does not listen yet. */
export function createListener(options: ListenerOptions): Listener {
  const limits = { ...defaultLimits, ...options.limits };
  const report = options.onError ?? reportToStderr;
  const handler = guardHandler(options.handler, report);
  const protocols: Record<Protocol, ProtocolServer> = {
    "http/1.1": createHttp1(limits, handler),
    h2: createHttp2(limits, handler, report, options.takeStream),
  };
  const tls = options.tls && createTls(options.tls, limits, report, accept);
  const protocolIn = tls === undefined ? protocolOf : tlsOrProtocolOf;
  const undecided = new Set<Socket>();
  const sockets = new Set<Socket>();
  let drained: Promise<void> | undefined;

  // A client that ends its side of a connection counts as gone, as in Node's own servers: endless answers to
  // clients that were killed end by that. TCP keep-alive finds those that vanished without a word.
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 });
  server.maxConnections = limits.maxConnections;
  // A worker of node's cluster would hand what is too many to the next, and a full one that to the first, without end.
  Object.assign(server, { dropMaxConnection: true });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      undecided.delete(socket);
    });
    // A peer that resets its connection is no failure of this process: the socket closes, that is all.
    socket.on("error", () => {});
    undecided.add(socket);
    sniff(socket, limits.prefaceTimeoutMs, protocolIn, (protocol) => {
      undecided.delete(socket);
      if (protocol === "tls") tls?.accept(socket);
      else if (tls === undefined) acceptPlain(socket, protocol);
      else refusePlaintext(socket, protocol);
    });
  });

  function acceptPlain(socket: Socket, protocol: Protocol): void {
    const address = countedAddress(socket.remoteAddress);
    introduce(socket, { secure: false, certificateNames: undefined, address, expireTime: undefined });
    accept(socket, protocol);
  }

  function accept(socket: Socket, protocol: Protocol): void {
    // A handshake may end after the drain began: nobody would close the connection then.
    if (drained === undefined) protocols[protocol].accept(socket);
    else socket.destroy();
  }

  async function drain(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    for (const protocol of Object.values(protocols)) protocol.drain();
    for (const socket of undecided) socket.destroy();
    const deadline = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(deadline);
    for (const protocol of Object.values(protocols)) protocol.dispose();
  }

  return {
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        // The longest backlog the system allows: a restart brings all clients back in the same second.
        server.listen({ host, port, backlog: 4096 }, () => {
          server.off("error", reject);
          server.on("error", (error) => report(error, "listener"));
          // A TCP server that listens has an address with a port; only pipes have a string.
          const { address, port } = server.address() as AddressInfo;
          resolve({ address, port });
        });
      }),
    get connections() {
      return sockets.size;
    },
    drain: (graceMs) => (drained ??= drain(graceMs)),
    renewTls: (material) => tls?.renew(material),
  };
}

const reportToStderr: FailureReporter = (error, place) => {
  console.error(`listener: failure in ${place}:`, error);
};
