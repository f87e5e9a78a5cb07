import {
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  constants,
  createServer,
} from "node:http2";
import type { FailureReporter } from "./guard.ts";
import type { RequestHandler } from "../../transport/http-message.ts";
import type { ListenerLimits } from "./limits.ts";
import { Http2Connection, RequestTimeouts } from "./http2-connection.ts";
import type { PeerRegistry } from "./peer.ts";
import type { ProtocolServer } from "./protocol-sniffer.ts";
import { UnreadAnswers } from "./slow-readers.ts";

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
  const sessions = new Map<ServerHttp2Session, Http2Connection>();
  let open = 0;
  const onEnd = () => void open--;
  const timeouts = new RequestTimeouts(limits.requestTimeoutMs);
  const unread = new UnreadAnswers(limits, () => sessions.values());

  const serve = (req: Http2ServerRequest, res: Http2ServerResponse) => void handler(req, res);
  // Turns streams into requests; it has no connections of its own.
  const requests = createServer(serve);
  // Node's own answers to these two have neither a text nor a request id.
  requests.on("checkExpectation", serve).on("connect", serve);
  const server = createServer({
    settings: {
      maxConcurrentStreams: limits.maxConcurrentStreams,
      maxHeaderListSize: limits.maxHeaderBytes,
      enablePush: false,
    },
    streamResetBurst: limits.streamResetBurst,
    streamResetRate: limits.streamResetsPerSecond,
  });
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

  return {
    accept(socket) {
      const onSession = (session: ServerHttp2Session) => {
        sessions.set(session, new Http2Connection(session, socket, limits, timeouts));
        peers.copyPeer(socket, session);
        // Certificates are checked in the handshake: a client with a new one has to connect again.
        const cancel = peers.whenExpired(socket, () => session.close());
        socket.once("close", () => {
          sessions.delete(session);
          cancel();
        });
      };
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
