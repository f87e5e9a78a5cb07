import { once } from "node:events";
import { type AddressInfo, type Socket, createServer } from "node:net";
import { type FailureReporter, guardHandler } from "./guard.ts";
import type { RequestHandler } from "../../transport/http-message.ts";
import { createHttp1 } from "./http1.ts";
import { type StreamTaker, createHttp2 } from "./http2.ts";
import { type ListenerLimits, defaultLimits } from "./limits.ts";
import { refusePlaintext } from "./early-errors.ts";
import { PeerRegistry } from "./peer.ts";
import { type Protocol, type ProtocolServer, sniff } from "./protocol-sniffer.ts";
import type { TlsMaterial } from "../tls/certificates.ts";
import { type TlsOptions, createTls } from "./tls.ts";

export interface ListenerOptions {
  handler: RequestHandler;
  /** Is offered every HTTP/2 stream before `handler`. */
  takeStream?: StreamTaker | undefined;
  /** If set, unencrypted connections are refused. */
  tls?: TlsOptions | undefined;
  /** Limits that differ from `defaultLimits`. */
  limits?: Partial<ListenerLimits>;
  peers?: PeerRegistry;
  onError: FailureReporter;
}

/** Creates a listener, one TCP port that serves HTTP/1.1 and HTTP/2, with or without TLS. It does not listen yet. */
export function createListener(options: ListenerOptions) {
  const limits = { ...defaultLimits, ...options.limits };
  const report = options.onError;
  const peers = options.peers ?? new PeerRegistry();
  const handler = guardHandler(options.handler, report);
  const protocols: Record<Protocol, ProtocolServer> = {
    "http/1.1": createHttp1(limits, handler, peers),
    h2: createHttp2(limits, handler, report, peers, options.takeStream),
  };
  const tls = options.tls && createTls(options.tls, limits, report, peers, accept);
  const undecided = new Set<Socket>();
  const sockets = new Set<Socket>();
  let drained: Promise<void> | undefined;

  // TCP keep-alive finds clients that vanished without closing the connection.
  const server = createServer({
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  });
  server.maxConnections = limits.maxConnections;
  // Under node:cluster, full workers would otherwise pass an excess connection to each other forever.
  Object.assign(server, { dropMaxConnection: true });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      undecided.delete(socket);
    });
    // A peer that resets its connection is not a failure of this process.
    socket.on("error", () => {});
    undecided.add(socket);
    sniff(socket, limits.prefaceTimeoutMs, (protocol) => {
      undecided.delete(socket);
      // Without TLS, a TLS handshake gets the answer to a malformed HTTP/1 request.
      if (tls === undefined) acceptPlain(socket, protocol === "tls" ? "http/1.1" : protocol);
      else if (protocol === "tls") tls.accept(socket);
      else refusePlaintext(socket, protocol);
    });
  });

  function acceptPlain(socket: Socket, protocol: Protocol): void {
    const address = socket.remoteAddress;
    peers.setPeer(socket, { secure: false, certificateNames: undefined, address, expireTime: undefined });
    accept(socket, protocol);
  }

  function accept(socket: Socket, protocol: Protocol): void {
    // A handshake may end after the drain began, which would not close this connection.
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
    /** Starts to accept connections; rejects if the address cannot be bound. Port 0 takes a free one; no host is every address. */
    async listen({ host, port }: { readonly host: string | undefined; readonly port: number }) {
      // A long backlog, because after a restart all clients connect in the same second.
      await once(server.listen({ host, port, backlog: 4096 }), "listening");
      server.on("error", (error) => report(error, "listener"));
      return server.address() as AddressInfo;
    },
    /** Number of open connections. */
    get connections() {
      return sockets.size;
    },
    /**
     * Stops accepting, tells clients to connect elsewhere (GOAWAY, `Connection: close`), closes idle connections at once and
     * the others when their requests have been answered. Destroys the remaining ones after `graceMs`. Resolves when no
     * connection is left. Later calls return the promise of the first.
     */
    drain: (graceMs: number) => (drained ??= drain(graceMs)),
    /** Replaces the certificates for new connections; without effect if the listener has no TLS. */
    renewTls: (material: TlsMaterial) => tls?.renew(material),
  };
}

export type Listener = ReturnType<typeof createListener>;
