import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { HttpRequest } from "../../transport/http-message.ts";
import { readBody } from "../../transport/read-body.ts";
import { badRequest, bodyTooLarge, unsupportedMediaType } from "../errors/failure.ts";

const inflate = promisify(gunzip);

/** Reads a body of at most `maxBytes`, as sent and inflated; "gone" if the client disconnects. The encoding of an empty body is ignored. */
export async function receiveBody(request: HttpRequest, maxBytes: number): Promise<Uint8Array | "gone"> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw bodyTooLarge(maxBytes);
  const body = await readBody(request, maxBytes);
  if (body === "too large") throw bodyTooLarge(maxBytes);
  if (body === "gone" || body.length === 0) return body;
  switch (request.headers["content-encoding"]?.trim().toLowerCase()) {
    case undefined:
    case "":
    case "identity":
      return body;
    case "gzip":
    case "x-gzip":
      return gunzipLimited(body, maxBytes);
    default:
      throw unsupportedMediaType("the content encoding is neither gzip nor identity", {
        "accept-encoding": "gzip",
      });
  }
}

async function gunzipLimited(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  try {
    return await inflate(bytes, { maxOutputLength: Math.max(1, maxBytes) });
  } catch (error) {
    if (error instanceof RangeError && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
      throw bodyTooLarge(maxBytes);
    }
    throw badRequest("body", undefined, "not gzip, although its content encoding says so");
  }
}
