import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Compression, compressionNegotiate } from "@connectrpc/connect/protocol";

/** Compressions of messages, the preferred one first. */
export const compressions: readonly Compression[] = [compressionGzip, compressionBrotli];

/** Names of {@link compressions}, as `accept-encoding` headers list them. */
export const acceptedEncodings = compressions.map(({ name }) => name).join(",");

/** Shorter messages are sent uncompressed, in bytes: Connect's default. */
export const compressMinBytes = 1024;

/** Selects the compression of answers. Remembers the last selection, because a client accepts the same in every call. */
export class AcceptedCompression {
  readonly #headerName: string;
  #accepted: string | undefined;
  #compression: Compression | null = null;

  /** `headerName`: the header in which clients of the protocol say what they accept. */
  constructor(headerName: string) {
    this.#headerName = headerName;
  }

  /** The compression for an answer to a request that was not compressed itself; null for none. */
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
 * The compression that an encoding header names, without regard to case; undefined for none. Throws UNIMPLEMENTED for an
 * unknown one, without repeating it.
 */
export function compressionNamed(encoding: string | string[] | null | undefined): Compression | undefined {
  const name = String(encoding ?? "identity")
    .trim()
    .toLowerCase();
  if (name === "identity" || name === "") return undefined;
  const compression = compressions.find((known) => known.name === name);
  if (compression === undefined) {
    throw new ConnectError(`unknown compression: supported are ${acceptedEncodings}`, Code.Unimplemented);
  }
  return compression;
}
