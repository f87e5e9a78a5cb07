import type { Readable } from "node:stream";

/**
 * Reads the body of a request. "gone" if the client goes away before its end; "too large" as soon as it has more than
 * `limit` bytes, and the rest flows on unread, so that the client gets to read the answer.
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
    body.on("end", () => resolve(joined(chunks)));
    body.on("close", () => resolve("gone"));
  });
}

function joined(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
}
