import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** A request of either protocol, as Node's compatible APIs present it. */
export type HttpRequest = IncomingMessage | Http2ServerRequest;

/** The response that belongs to an {@link HttpRequest}. */
export type HttpResponse = ServerResponse | Http2ServerResponse;

/** Serves requests of both protocols; may be async. */
export type RequestHandler = (req: HttpRequest, res: HttpResponse) => void | Promise<void>;
