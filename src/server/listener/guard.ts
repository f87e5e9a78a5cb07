import { SessiondError } from "../../domain/errors.ts";
import type { HttpResponse, RequestHandler } from "../../transport/http-message.ts";
import { sendEarlyError } from "./early-errors.ts";

/**
 * Where a failure happened that no answer reports. Failures of a `session` (HTTP/2) or a `handshake` (TLS) are mostly the
 * client's doing: log them without an alarm.
 */
export type FailurePlace =
  | "handler"
  | "response"
  | "session"
  | "handshake"
  | "client certificate"
  | "listener";

/** Receives failures that cannot be reported otherwise. Must not throw. */
export type FailureReporter = (error: unknown, place: FailurePlace) => void;

/**
 * Keeps a handler from ending the process. What it throws, synchronously or not, is reported; the client gets INTERNAL, or a
 * cut connection if the answer had begun. Error events of the response are reported too, and those of the request are
 * ignored, because they only say that the client is gone.
 */
export function guardHandler(handler: RequestHandler, report: FailureReporter): RequestHandler {
  return (req, res) => {
    res.on("error", (error: unknown) => report(error, "response"));
    // Node emits it if a listener existed when the connection closed, and Connect removes its own in the tick between.
    req.on("error", () => {});
    const fail = (error: unknown) => {
      report(error, "handler");
      if (!res.headersSent) sendEarlyError(req, res, new SessiondError("INTERNAL"));
      else if (!res.writableEnded) cutOff(res);
    };
    try {
      const running = handler(req, res);
      if (running !== undefined) running.catch(fail);
    } catch (error) {
      fail(error);
    }
  };
}

/** Ends an answer so that its client can tell that it is incomplete. */
function cutOff(res: HttpResponse): void {
  // `stream.close(code)` after two quick writes was seen to spin in Node's native code; destroying without an error would
  // look like the regular end.
  if ("stream" in res) res.stream.destroy(new Error("the answer was cut off"));
  else res.destroy();
}
