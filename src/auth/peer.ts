import type { CertificateName } from "../domain/certificate-name.ts";

/** The other end of a connection. */
export interface Peer {
  /** Whether TLS ends in this process. Then no proxy has read the request, and its own origin is https. */
  readonly secure: boolean;
  /** Names in the verified client certificate; undefined without one. */
  readonly certificateNames: readonly CertificateName[] | undefined;
  /** Address for rate limits: a proxy's if there is one; of IPv6 the first half, because a host owns the rest. */
  readonly address: string | undefined;
}

/** A peer about which nothing is known. */
export const unknownPeer: Peer = { secure: false, certificateNames: undefined, address: undefined };
