import type { OutgoingHttpHeaders } from "node:http";
import type { HttpResponse } from "../../transport/http-message.ts";

/**
 * Makes `grpc-message` trailers readable for every client. gRPC escapes `%` and everything but printable ASCII; Connect escapes
 * punctuation too, which `@grpc/grpc-js` does not undo: its users would read `id%3A must be`.
 */
export function withReadableGrpcMessage(response: HttpResponse): void {
  const addTrailers = response.addTrailers.bind(response);
  response.addTrailers = (trailers: OutgoingHttpHeaders) => {
    addTrailers(readableGrpcMessage(trailers));
  };
}

export function readableGrpcMessage(trailers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const message = trailers["grpc-message"];
  return typeof message === "string"
    ? { ...trailers, "grpc-message": unescapePunctuation(message) }
    : trailers;
}

function unescapePunctuation(message: string): string {
  return message.replace(/%(2[0-46-9A-F]|3[A-F]|40|5[B-E]|60|7[B-E])/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** Adds the headers of a `Headers`, if there is one, to headers for Node, each name behind `prefix`. */
export function addHeaders(into: OutgoingHttpHeaders, headers: Headers | undefined, prefix = ""): void {
  // Cookies stay separate; the values of other headers are joined.
  headers?.forEach((value, name) => {
    const earlier = into[prefix + name];
    into[prefix + name] = earlier === undefined ? value : [String(earlier), value];
  });
}
