import {
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  constants,
  createServer,
} from "node:http2";
import type { Socket } from "node:net";
import type { FailureReporter } from "./guard.ts";
import type { RequestHandler } from "../../transport/http-message.ts";
import type { ListenerLimits } from "./limits.ts";
import { OpenStreams, RequestTimeouts } from "./http2-streams.ts";
import type { PeerRegistry } from "./peer.ts";
import type { ProtocolServer } from "./protocol-sniffer.ts";
import { UnreadAnswers, endStreamsOnHalfClose } from "./slow-readers.ts";

/** Serves a stream itself and returns true, or leaves it untouched and returns false. */
export type StreamTaker = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: string[],
) => boolean;

/**
 * Serves HTTP/2 on connections that the listener accepted. nghttp2 and Node end connections with floods of CONTINUATION, PING
 * and SETTINGS frames and of streams that are reset at once. Connections, requests and answers that make no progress end here.
 */
export function createHttp2(
  limits: ListenerLimits,
  handler: RequestHandler,
  report: FailureReporter,
  peers: PeerRegistry,
  takeStream: StreamTaker = () => false,
): ProtocolServer {
  const sessions = new Map<ServerHttp2Session, OpenStreams>();
  let open = 0;
  const onEnd = () => void open--;
  const timeouts = new RequestTimeouts(limits.requestTimeoutMs);
  const unread = new UnreadAnswers(limits, () => sessions.values());

  const serve = (req: Http2ServerRequest, res: Http2ServerResponse) => void handler(req, res);
  // Turns streams into requests; it has no connections of its own.
  const requests = createServer(serve);
  // Node's own answers to these two have neither a text nor a request id.
  requests.on("checkExpectation", serve).on("connect", serve);
  const server = createServer(serverOptions(limits));
  server.on("stream", (stream, headers, flags, rawHeaders: string[]) => {
    if (open >= limits.maxStreams) {
      // Node emits an error for every stream that is reset, by this process too.
      stream.on("error", () => {}).close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    open++;
    stream.on("close", onEnd);
    if (!takeStream(stream, headers, rawHeaders)) requests.emit("stream", stream, headers, flags, rawHeaders);
  });
  server.on("sessionError", (error) => report(error, "session"));

  function supervise(session: ServerHttp2Session, socket: Socket): void {
    const streams = new OpenStreams(session, socket, limits.unreadTimeoutMs);
    sessions.set(session, streams);
    socket.once("close", () => sessions.delete(session));
    const handshake = setTimeout(() => socket.destroy(), limits.prefaceTimeoutMs).unref();
    // The limits in our SETTINGS hold only after the client has acknowledged them (RFC 9113, 6.5.3).
    session.once("localSettings", () => clearTimeout(handshake));
    socket.once("close", () => clearTimeout(handshake));
    peers.copyPeer(socket, session);
    // Certificates are checked in the handshake: a client with a new one has to connect again.
    socket.once(
      "close",
      peers.whenExpired(socket, () => session.close()),
    );
    // A header block that will never be complete keeps a closing session open: only open streams are waited for.
    socket.once("end", () => (streams.answers.size === 0 ? session.destroy() : session.close()));
    endStreamsOnHalfClose(socket, streams);
    closeWhenIdle(session, socket, streams, limits, timeouts);
  }

  return {
    accept(socket) {
      const onSession = (session: ServerHttp2Session) => supervise(session, socket);
      server.once("session", onSession);
      server.emit("connection", socket);
      server.off("session", onSession);
    },
    drain() {
      for (const session of sessions.keys()) session.close();
    },
    dispose() {
      timeouts.dispose();
      unread.dispose();
    },
  };
}

function serverOptions(limits: ListenerLimits) {
  return {
    settings: {
      maxConcurrentStreams: limits.maxConcurrentStreams,
      maxHeaderListSize: limits.maxHeaderBytes,
      enablePush: false,
    },
    streamResetBurst: limits.streamResetBurst,
    streamResetRate: limits.streamResetsPerSecond,
  };
}

/**
 * Closes a session, GOAWAY first, that had no stream for `sessionIdleTimeoutMs`, and then the connection if the peer does not
 * close it. This includes connections whose first headers never become complete, because they open no stream.
 */
function closeWhenIdle(
  session: ServerHttp2Session,
  socket: Socket,
  { answers: open }: OpenStreams,
  limits: ListenerLimits,
  timeouts: RequestTimeouts,
): void {
  let linger: NodeJS.Timeout | undefined;
  const idle = setTimeout(() => {
    if (open.size > 0) return;
    session.close();
    linger = setTimeout(() => socket.destroy(), limits.lingerTimeoutMs).unref();
  }, limits.sessionIdleTimeoutMs).unref();
  function onStreamClose(this: ServerHttp2Stream): void {
    timeouts.forget(this);
    open.delete(this);
    if (open.size === 0) idle.refresh();
  }
  session.on("stream", (stream) => {
    open.add(stream);
    timeouts.watch(stream);
    stream.on("close", onStreamClose);
  });
  socket.once("close", () => {
    clearTimeout(idle);
    clearTimeout(linger);
  });
}
