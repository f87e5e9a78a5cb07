import { constants } from "node:http2";
import type { HttpResponse, RequestHandler } from "../../transport/http-message.ts";
import { refuse } from "./early-errors.ts";

/**
 * Where a failure that no request reports went wrong: in the handler (it threw), in a response (written
 * after its end, say), in an HTTP/2 session or a TLS handshake (mostly the client's doing: log it, but alarm nobody), in
 * a client certificate, or in accepting connections.
 */
export type FailurePlace =
  | "handler"
  | "response"
  | "session"
  | "handshake"
  | "client certificate"
  | "listener";

/** Told about failures that have no other way out. Must not throw. */
export type FailureReporter = (error: unknown, place: FailurePlace) => void;

/**
 * Makes a handler unable to end the process: what it throws, at once or later, is reported, and the client
 * gets an "internal" error, or a cut connection if the answer had begun. Error events, which would be uncaught
 * exceptions, do not: those of a response are reported too; that of a request only says that its client is gone.
 */
export function guardHandler(handler: RequestHandler, report: FailureReporter): RequestHandler {
  return (req, res) => {
    res.on("error", (error: unknown) => report(error, "response"));
    // Node emits it where somebody listened when the connection closed, and Connect stops to listen in the tick between.
    req.on("error", () => {});
    const fail = (error: unknown) => {
      report(error, "handler");
      if (!res.headersSent) {
        refuse(req, res, { code: "internal", message: "the server failed on this request" });
      } else if (!res.writableEnded) {
        cutOff(res);
      }
    };
    try {
      const running = handler(req, res);
      if (running !== undefined) running.catch(fail);
    } catch (error) {
      fail(error);
    }
  };
}

/** Ends an answer so that its client can tell it is not whole: destroying an HTTP/2 stream would look like its end. */
function cutOff(res: HttpResponse): void {
  if ("stream" in res) res.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else res.destroy();
}
