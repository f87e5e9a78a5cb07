import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { NodeRequest } from "./exchange.ts";
import { badRequest, bodyTooLarge, unsupportedMediaType } from "../errors/failure.ts";

const inflate = promisify(gunzip);

/**
 * Reads a request body, at most `maxBytes` of it both as sent and inflated, and undoes gzip. Throws a refusal: 413
 * over the limit, 415 for another content encoding, 400 for bytes that are no gzip. Stops to read when the signal
 * aborts. A body over the limit is left flowing, so that the client gets to read the answer.
 */
export function readBody(request: NodeRequest, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  const encoding = request.headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  if (encoding !== "identity" && encoding !== "gzip" && encoding !== "x-gzip") {
    throw unsupportedMediaType("the content encoding is neither gzip nor identity", {
      "accept-encoding": "gzip",
    });
  }
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw bodyTooLarge(maxBytes);
  const bytes = collect(request, maxBytes, signal);
  return encoding === "identity" ? bytes : bytes.then((zipped) => gunzipLimited(zipped, maxBytes));
}

function collect(request: NodeRequest, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      chunks.push(chunk);
      if (size > maxBytes) {
        giveUp(bodyTooLarge(maxBytes));
      } else if (signal.aborted) {
        giveUp(signal.reason);
      }
    };
    const onEnd = (): void => {
      const [first] = chunks;
      resolve(chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, size));
    };
    const onBreak = (): void => {
      // Every request closes once; after its end that is in order.
      if (!request.readableEnded) giveUp(badRequest("body", undefined, "the body is not complete"));
    };
    const giveUp = (reason: unknown): void => {
      request.off("data", onData).off("end", onEnd).off("error", onBreak).off("close", onBreak);
      reject(reason);
    };
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    request.on("data", onData).on("end", onEnd).on("error", onBreak).on("close", onBreak);
  });
}

async function gunzipLimited(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  if (bytes.length === 0) return bytes;
  try {
    return await inflate(bytes, { maxOutputLength: Math.max(1, maxBytes) });
  } catch (error) {
    if (error instanceof RangeError && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
      throw bodyTooLarge(maxBytes);
    }
    throw badRequest("body", undefined, "not gzip, although its content encoding says so");
  }
}
