import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { Socket } from "node:net";
import type { RequestHandler } from "../../transport/http-message.ts";
import type { ListenerLimits } from "./limits.ts";
import { hasExpired } from "./peer.ts";
import type { ProtocolServer } from "./protocol-server.ts";
import { refuse } from "./early-errors.ts";
import { refuseUnparsed } from "./unparsed.ts";
import { type Conversation, UnreadAnswers } from "./slow-readers.ts";

/**
 * HTTP/1.x on connections accepted elsewhere. Malformed requests, and those whose length is ambiguous
 * (request smuggling), are answered 400 and never reach the handler.
 */
export function createHttp1(limits: ListenerLimits, handler: RequestHandler): ProtocolServer {
  const running = new Map<Socket, Set<ServerResponse>>();
  /** Connections that sent something that is no request; they close when what they asked before is answered. */
  const ending = new WeakSet<Socket>();
  let draining = false;

  const serve = (req: IncomingMessage, res: ServerResponse) => {
    if (hasTooMany(req.socket)) {
      req.socket.destroy();
      return;
    }
    track(req.socket, res);
    // A certificate is checked in the handshake; who has a new one comes back with it.
    if (draining || hasExpired(req.socket)) closeAfter(res);
    if (isFramedOddly(req)) refuse(req, res, { code: "invalid_argument", message: framing });
    else void handler(req, res);
  };
  const server = createServer(serverOptions(limits), serve);
  // An expectation that nobody knows is passed over; Node's own 417 has neither words nor a request id.
  server.on("checkExpectation", serve);
  server.on("clientError", (error, socket: Socket) => {
    const responses = [...(running.get(socket) ?? [])];
    // Requests that had arrived whole are answered first: a 400 in between would be taken for their answer.
    if (responses.length > 0 && responses.every((res) => res.req.complete)) {
      ending.add(socket);
      for (const res of responses) closeAfter(res);
    } else {
      refuseUnparsed(
        error,
        socket,
        responses.some((res) => res.headersSent),
      );
    }
  });
  // A server that never listens itself does not start the timer behind its timeouts: only this event does.
  server.emit("listening");

  const unread = new UnreadAnswers(limits, () => conversationsOf(running));

  /** Node begins all requests that arrive together, whether the answers before are read or not. */
  function hasTooMany(socket: Socket): boolean {
    return (running.get(socket)?.size ?? limits.maxPipelinedRequests) >= limits.maxPipelinedRequests;
  }

  function track(socket: Socket, res: ServerResponse): void {
    const responses = running.get(socket);
    responses?.add(res);
    res.once("close", () => {
      responses?.delete(res);
      if ((draining || ending.has(socket)) && responses?.size === 0) socket.destroySoon();
    });
  }

  return {
    accept(socket) {
      running.set(socket, new Set());
      socket.once("close", () => running.delete(socket));
      server.emit("connection", socket);
    },
    drain() {
      draining = true;
      for (const [socket, responses] of running) {
        if (responses.size === 0) socket.destroySoon();
        for (const res of responses) closeAfter(res);
      }
    },
    dispose() {
      stopTimers(server);
      unread.dispose();
    },
  };
}

const framing = "the only transfer coding understood here is chunked";

function* conversationsOf(
  running: ReadonlyMap<Socket, ReadonlySet<ServerResponse>>,
): Generator<Conversation<ServerResponse>> {
  for (const [socket, answers] of running) {
    const cut = () => void socket.destroy();
    yield { answers, giveUp: cut, cut };
  }
}

/** Node's parser refuses such a request after handing it over, when the handler may have answered already. */
function isFramedOddly(req: IncomingMessage): boolean {
  const coding = req.headers["transfer-encoding"];
  return coding !== undefined && coding.toLowerCase() !== "chunked";
}

function serverOptions(limits: ListenerLimits) {
  const { headersTimeoutMs, requestTimeoutMs } = limits;
  return {
    headersTimeout: headersTimeoutMs,
    // Node refuses a request timeout below the one for headers.
    requestTimeout: Math.max(requestTimeoutMs, headersTimeoutMs),
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(5_000, Math.max(10, Math.floor(headersTimeoutMs / 4))),
    maxHeaderSize: limits.maxHeaderBytes,
    // Left to safeHost, which says what is wrong; Node's own 400 is empty, and lets HTTP/1.0 pass anyway.
    requireHostHeader: false,
  };
}

/** Says that the connection ends with this response, as long as that can still be said. */
function closeAfter(res: ServerResponse): void {
  if (!res.headersSent) res.setHeader("connection", "close");
}

/** Closing a server that never listened stops the timer behind its timeouts; its connections are gone by then. */
function stopTimers(server: Server): void {
  server.close();
}
