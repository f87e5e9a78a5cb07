import { SessiondError } from "../../domain/errors.ts";
import { type RequestHandler, abortResponse } from "../../transport/http-message.ts";
import { sendEarlyError } from "./early-errors.ts";

/** Where a failure happened. Failures of a `session` (HTTP/2) or a `handshake` (TLS) are mostly caused by the client. */
export type FailurePlace =
  | "handler"
  | "response"
  | "session"
  | "handshake"
  | "client certificate"
  | "listener";

/** Receives failures that no answer reports. Must not throw. */
export type FailureReporter = (error: unknown, place: FailurePlace) => void;

/**
 * Keeps a handler from ending the process. Reports what it throws, synchronously or not; the client gets INTERNAL, or an aborted
 * response if the answer had begun. Reports errors of the response too, and ignores those of the request, which only say that
 * the client is gone.
 */
export function guardHandler(handler: RequestHandler, report: FailureReporter): RequestHandler {
  return (req, res) => {
    res.on("error", (error: unknown) => report(error, "response"));
    // Node emits it if a listener existed when the connection closed, and Connect removes its own in the tick between.
    req.on("error", () => {});
    const fail = (error: unknown) => {
      report(error, "handler");
      if (!res.headersSent) sendEarlyError(req, res, new SessiondError("INTERNAL"));
      else if (!res.writableEnded) abortResponse(res);
    };
    try {
      const running = handler(req, res);
      if (running !== undefined) running.catch(fail);
    } catch (error) {
      fail(error);
    }
  };
}
