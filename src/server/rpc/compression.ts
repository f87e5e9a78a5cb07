import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Compression, compressionNegotiate } from "@connectrpc/connect/protocol";
import type { Call } from "../../transport/call.ts";

/** Compressions of messages, the preferred one first. */
export const compressions: readonly Compression[] = [compressionGzip, compressionBrotli];

/** Value of `accept-encoding` headers. */
export const acceptedEncodings = compressions.map(({ name }) => name).join(",");

/** Length in bytes from which messages are compressed: Connect's default. */
export const compressMinBytes = 1024;

/** Finds the compression that a client accepts. Caches the last one, because a client sends the same header with every call. */
export class AcceptedCompression {
  readonly #headerName: string;
  #accepted: string | undefined;
  #compression: Compression | null = null;

  /** `headerName`: the protocol's header for accepted compressions. */
  constructor(headerName: string) {
    this.#headerName = headerName;
  }

  /** Finds the compression of an answer; null for none. */
  of(accepted: string | string[] | undefined): Compression | null {
    const single = typeof accepted === "string" ? accepted.toLowerCase() : undefined;
    if (single !== this.#accepted) {
      this.#accepted = single;
      const available = [...compressions];
      this.#compression = compressionNegotiate(available, null, single ?? null, this.#headerName).response;
    }
    return this.#compression;
  }
}

/**
 * Finds the compression of a message by its name in any case; undefined for identity. UNIMPLEMENTED for an unknown one; then
 * the header `acceptName` of the answer lists those that are known.
 */
export function compressionNamed(
  encoding: string | null | undefined,
  call: Call,
  acceptName: string,
): Compression | undefined {
  const name = (encoding ?? "").trim().toLowerCase();
  if (name === "identity" || name === "") return undefined;
  const compression = compressions.find((known) => known.name === name);
  if (compression !== undefined) return compression;
  call.responseHeader.set(acceptName, acceptedEncodings);
  throw new ConnectError(`unknown compression: supported are ${acceptedEncodings}`, Code.Unimplemented);
}
