import type { OutgoingHttpHeaders } from "node:http";
import type { HttpResponse } from "../../transport/http-message.ts";

/**
 * Makes `grpc-message` trailers readable for every client. The gRPC protocol asks to escape `%` and what is not printable
 * ASCII; Connect escapes punctuation too, which `@grpc/grpc-js` does not undo, so that its users would read `id%3A must be`.
 */
export function withReadableGrpcMessage(response: HttpResponse): void {
  const addTrailers = response.addTrailers.bind(response);
  response.addTrailers = (trailers: OutgoingHttpHeaders) => {
    addTrailers(readableGrpcMessage(trailers));
  };
}

/** The trailers with a readable `grpc-message`, where there is one. */
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
