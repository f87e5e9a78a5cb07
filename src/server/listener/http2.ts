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
import { OpenStreams } from "./http2-streams.ts";
import { passOn, whenExpired } from "./peer.ts";
import type { ProtocolServer } from "./protocol-server.ts";
import { RequestTimeouts } from "./request-timeouts.ts";
import { UnreadAnswers } from "./slow-readers.ts";

/** Serves a stream itself and returns true, or leaves it untouched. */
export type StreamTaker = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: string[],
) => boolean;

/**
 * HTTP/2 on connections accepted elsewhere. Floods of CONTINUATION, PING and SETTINGS frames and of streams
 * reset as soon as they are opened end the connection inside nghttp2 and Node; what those two leave open,
 * connections, requests and answers that never get on, ends here.
 */
export function createHttp2(
  limits: ListenerLimits,
  handler: RequestHandler,
  report: FailureReporter,
  takeStream: StreamTaker = () => false,
): ProtocolServer {
  const sessions = new Map<ServerHttp2Session, OpenStreams>();
  let open = 0;
  const onEnd = () => void open--;
  const timeouts = new RequestTimeouts(limits.requestTimeoutMs);
  const unread = new UnreadAnswers(limits, () => sessions.values());

  const serve = (req: Http2ServerRequest, res: Http2ServerResponse) => void handler(req, res);
  // Makes requests of streams, and has no connections of its own.
  const requests = createServer(serve);
  // Node answers these two by itself, without words and without a request id.
  requests.on("checkExpectation", serve).on("connect", serve);
  const server = createServer(serverOptions(limits));
  server.on("stream", (stream, headers, flags, rawHeaders: string[]) => {
    if (open >= limits.maxStreams) {
      // To Node a stream that is reset has failed, whoever did it.
      stream.on("error", () => {}).close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    open++;
    stream.on("close", onEnd);
    if (!takeStream(stream, headers, rawHeaders)) requests.emit("stream", stream, headers, flags, rawHeaders);
  });
  server.on("sessionError", (error) => report(error, "session"));

  function supervise(session: ServerHttp2Session, socket: Socket): void {
    const streams = new OpenStreams(socket);
    sessions.set(session, streams);
    socket.once("close", () => sessions.delete(session));
    const handshake = setTimeout(() => socket.destroy(), limits.prefaceTimeoutMs).unref();
    // The client has acknowledged our SETTINGS: only now are the limits in them enforced (RFC 9113, 6.5.3).
    session.once("localSettings", () => clearTimeout(handshake));
    socket.once("close", () => clearTimeout(handshake));
    passOn(socket, session);
    // A certificate is checked in the handshake; who has a new one comes back with it.
    socket.once(
      "close",
      whenExpired(socket, () => session.close()),
    );
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
 * Closes a session (GOAWAY first) that has had no stream for a while, and the connection of a closed session
 * whose peer does not close it. Headers that never become complete make no stream, so they end here too.
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
