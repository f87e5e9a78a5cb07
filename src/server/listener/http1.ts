import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { Socket } from "node:net";
import { SessiondError } from "../../domain/errors.ts";
import type { RequestHandler } from "../../transport/http-message.ts";
import type { ListenerLimits } from "./limits.ts";
import type { PeerRegistry } from "./peer.ts";
import type { ProtocolServer } from "./protocol-sniffer.ts";
import { refuseUnparsed, sendEarlyError } from "./early-errors.ts";
import { type Conversation, UnreadAnswers, endStreamsOnHalfClose } from "./slow-readers.ts";

/**
 * Serves HTTP/1.x on connections that the listener accepted. Malformed requests, and those whose length is ambiguous (request
 * smuggling), are answered with 400 and never reach the handler.
 */
export function createHttp1(
  limits: ListenerLimits,
  handler: RequestHandler,
  peers: PeerRegistry,
): ProtocolServer {
  /** Open connections with their unfinished answers. */
  const running = new Map<Socket, Conversation<ServerResponse>>();
  /**
   * Connections that sent a malformed request; they close when their earlier requests are answered. With the error of the
   * request, unless the last of these answers announces the end.
   */
  const ending = new WeakMap<Socket, Error | undefined>();
  let draining = false;

  const serve = (req: IncomingMessage, res: ServerResponse) => {
    // Node starts all requests that arrive together, even if their client reads no answer.
    if ((running.get(req.socket)?.answers.size ?? Infinity) >= limits.maxPipelinedRequests) {
      req.socket.destroy();
      return;
    }
    track(req.socket, res);
    // Certificates are checked in the handshake: a client with a new one has to connect again.
    if (draining || peers.hasExpired(req.socket)) closeAfter(res);
    if (hasUnknownCoding(req)) sendEarlyError(req, res, new SessiondError("FIELD_INVALID", unknownCoding));
    else void handler(req, res);
  };
  const { headersTimeoutMs, requestTimeoutMs } = limits;
  const server = createServer(
    {
      headersTimeout: headersTimeoutMs,
      // Node refuses a request timeout below the one for headers.
      requestTimeout: Math.max(requestTimeoutMs, headersTimeoutMs),
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(5_000, Math.max(10, Math.floor(headersTimeoutMs / 4))),
      maxHeaderSize: limits.maxHeaderBytes,
      // The handler checks it: Node's own 400 is empty.
      requireHostHeader: false,
    },
    serve,
  );
  // A client may close its side of the connection after its request: its answer is still sent.
  Object.assign(server, { httpAllowHalfOpen: true });
  // Unknown expectations are ignored; Node's own 417 has neither a text nor a request id.
  server.on("checkExpectation", serve);
  server.on("clientError", (error, socket: Socket) => {
    const responses = [...(running.get(socket)?.answers ?? [])];
    // Complete requests are answered first: a 400 in between would be taken for their answer.
    if (responses.length > 0 && responses.every((res) => res.req.complete)) {
      const announced = responses.map(closeAfter).at(-1) === true;
      ending.set(socket, announced ? undefined : error);
    } else {
      refuseUnparsed(
        error,
        socket,
        responses.some((res) => res.headersSent),
      );
    }
  });
  // Starts the timer behind the server's timeouts, which otherwise only a server that listens itself does.
  server.emit("listening");

  const unread = new UnreadAnswers(limits, () => running.values());

  function track(socket: Socket, res: ServerResponse): void {
    const answers = running.get(socket)?.answers;
    answers?.add(res);
    res.once("close", () => {
      answers?.delete(res);
      if (answers?.size !== 0) return;
      const error = ending.get(socket);
      if (error !== undefined) refuseUnparsed(error, socket, false);
      else if (draining || ending.has(socket)) socket.destroySoon();
    });
  }

  return {
    accept(socket) {
      const cut = () => void socket.destroy();
      const conversation = { answers: new Set<ServerResponse>(), giveUp: cut, cut };
      running.set(socket, conversation);
      socket.once("close", () => running.delete(socket));
      endStreamsOnHalfClose(socket, conversation);
      server.emit("connection", socket);
    },
    drain() {
      draining = true;
      for (const [socket, { answers }] of running) {
        if (answers.size === 0) socket.destroySoon();
        for (const res of answers) closeAfter(res);
      }
    },
    dispose() {
      // Of a server that never listened, this only stops the timer behind its timeouts.
      server.close();
      unread.dispose();
    },
  };
}

const unknownCoding = {
  violations: [{ field: "transfer-encoding", description: "the only accepted transfer coding is chunked" }],
};

/** Node's parser refuses such a request only after the handler was called, which may have answered already. */
function hasUnknownCoding(req: IncomingMessage): boolean {
  const coding = req.headers["transfer-encoding"];
  return coding !== undefined && coding.toLowerCase() !== "chunked";
}

/** Announces that the connection closes after this response; false if its headers are sent already. */
function closeAfter(res: ServerResponse): boolean {
  if (res.headersSent) return false;
  res.setHeader("connection", "close");
  return true;
}
