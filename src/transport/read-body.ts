import type { Readable } from "node:stream";

/**
 * Reads the body of a request. "gone" if the client disconnects before its end; "too large" as soon as it exceeds `limit` bytes:
 * the rest is discarded, so that the client reads the answer.
 */
export function readBody(body: Readable, limit: number): Promise<Buffer | "gone" | "too large"> {
  // An empty body may have ended before it is read.
  if (body.readableEnded) return Promise.resolve(Buffer.alloc(0));
  if (body.destroyed) return Promise.resolve("gone");
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length <= limit) return;
      body.off("data", onData).resume();
      resolve("too large");
    };
    // Only the first outcome counts, so that the listeners may stay.
    body.on("data", onData);
    body.on("end", () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
    body.on("close", () => resolve("gone"));
  });
}
