import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { type Compression, compressionNegotiate } from "@connectrpc/connect/protocol";

/** What messages may be compressed with, the preferred one first. */
export const compressions: readonly Compression[] = [compressionGzip, compressionBrotli];

/** Messages below this size are sent as they are, in bytes: Connect's default. */
export const compressMinBytes = 1024;

/** Finds what a client accepts; remembers the last answer, as a client says the same with every call. */
export class AcceptedCompression {
  readonly #headerName: string;
  #accepted: string | undefined;
  #compression: Compression | null = null;

  /** `headerName`: where clients of the protocol say what they accept. */
  constructor(headerName: string) {
    this.#headerName = headerName;
  }

  /** The compression for an answer to a request that was not compressed itself; null for none. */
  of(accepted: string | undefined): Compression | null {
    if (accepted !== this.#accepted) {
      this.#accepted = accepted;
      this.#compression = compressionNegotiate(
        [...compressions],
        null,
        accepted ?? null,
        this.#headerName,
      ).response;
    }
    return this.#compression;
  }
}
