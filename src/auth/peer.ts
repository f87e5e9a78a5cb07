import type { CertificateName } from "../domain/certificate-name.ts";

/** What a connection tells of who is at its other end, before any request. */
export interface Peer {
  /** Whether TLS ends in this process: nobody between can have read or changed anything, and its own origin is https. */
  readonly secure: boolean;
  /** The names in the client certificate that was verified in the handshake; undefined where there is none. */
  readonly certificateNames: readonly CertificateName[] | undefined;
  /**
   * The address of the connection, as limits count: of IPv6 the first half, as each host has the other for itself. A proxy's,
   * where there is one; undefined where it is not known.
   */
  readonly address: string | undefined;
}

/** A peer that nothing is known of. */
export const anybody: Peer = { secure: false, certificateNames: undefined, address: undefined };
