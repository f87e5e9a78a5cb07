import type { Readable } from "node:stream";

/** What of a request's body has arrived. */
export interface RequestBytes {
  readonly bytes: Buffer;
  /** Whether that is all of it; else there was more than the limit, and the rest is still to be read. */
  readonly whole: boolean;
}

/**
 * Reads a body until its end, or until there are more than `limit` bytes of it. Undefined when the client goes away before:
 * nobody is left to be answered.
 */
export function readRequestBytes(body: Readable, limit: number): Promise<RequestBytes | undefined> {
  // An empty body ends by itself, before anybody reads it.
  if (body.readableEnded) return Promise.resolve({ bytes: Buffer.alloc(0), whole: true });
  if (body.destroyed) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length <= limit) return;
      body.off("data", onData).pause();
      resolve({ bytes: joined(chunks), whole: false });
    };
    // Only the first outcome counts, so the listeners may stay.
    body.on("data", onData);
    body.on("end", () => resolve({ bytes: joined(chunks), whole: true }));
    body.on("close", () => resolve(undefined));
  });
}

function joined(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
}
