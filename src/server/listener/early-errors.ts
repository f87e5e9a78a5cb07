import { randomUUID } from "node:crypto";
import type { HttpRequest, HttpResponse } from "../../transport/http-message.ts";

/** An answer given before any protocol implementation has seen the request. The message is printable ASCII without "%". */
export interface Refusal {
  code: "invalid_argument" | "internal";
  message: string;
}

const statusOf = {
  invalid_argument: { http: 400, grpc: 3 },
  internal: { http: 500, grpc: 13 },
} as const satisfies Record<Refusal["code"], { http: number; grpc: number }>;

/**
 * Ends a request with an error that its client understands: gRPC and gRPC-Web get a trailers-only response
 * (HTTP 200, `grpc-status`), everybody else the Connect error, JSON with the HTTP status. Headers that the
 * failed handler had prepared are dropped, but for the request id, which is made where there is none. An HTTP/1 connection is closed, since where the body of a refused
 * request ends is not worth trusting.
 */
export function refuse(req: HttpRequest, res: HttpResponse, refusal: Refusal): void {
  const { http, grpc } = statusOf[refusal.code];
  for (const name of res.getHeaderNames()) if (name !== "x-request-id") res.removeHeader(name);
  if (req.httpVersionMajor === 1) res.setHeader("connection", "close");
  const contentType = req.headers["content-type"] ?? "";
  if (/^application\/grpc(-web(-text)?)?($|[+;])/.test(contentType)) {
    res.statusCode = 200;
    res.setHeader("content-type", contentType);
    res.setHeader("grpc-status", String(grpc));
    res.setHeader("grpc-message", refusal.message);
    end(res, "");
    return;
  }
  res.statusCode = http;
  res.setHeader("content-type", "application/json");
  end(res, JSON.stringify(refusal));
}

/** The two `end` methods take the same arguments, but TypeScript cannot call a union of overloads. */
function end(res: HttpResponse, body: string): void {
  if (!res.hasHeader("x-request-id")) res.setHeader("x-request-id", randomUUID());
  if ("stream" in res) res.end(body);
  else res.end(body);
}
