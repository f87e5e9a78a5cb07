import { constants } from "node:crypto";
import type { Socket } from "node:net";
import { type SecureVersion, type TLSSocket, createServer } from "node:tls";
import { namesOf } from "./certificate-names.ts";
import type { FailureReporter } from "../listener/guard.ts";
import type { ListenerLimits } from "../listener/limits.ts";
import { type PeerRegistry, countedAddress } from "../listener/peer.ts";
import type { Protocol } from "../listener/protocol-sniffer.ts";
import type { TlsMaterial } from "./certificates.ts";

/** How connections are encrypted. */
export interface TlsOptions {
  readonly material: TlsMaterial;
  /** The oldest version that is spoken. */
  readonly minVersion: SecureVersion;
}

/** TLS on connections accepted elsewhere. */
export interface Tls {
  /** Takes a connection over, with its first bytes unread; hands it on, decrypted, when the handshake is done. */
  accept(socket: Socket): void;
  /** Has later handshakes use other certificates. Those before are none the wiser. */
  renew(material: TlsMaterial): void;
}

/** With forward secrecy and authenticated encryption only: what HTTP/2 (RFC 9113, 9.2.2) leaves of TLS 1.2, and TLS 1.3. */
const ciphers = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/**
 * Does the handshakes: ALPN says which protocol follows, and HTTP/1.1 does where a client does not know ALPN. Client
 * certificates are asked for where there is a CA for them. A client without one is let in, to show another credential; one
 * whose certificate does not verify is not: that is a fault which its owner should learn of, and never a name.
 */
export function createTls(
  { material, minVersion }: TlsOptions,
  limits: ListenerLimits,
  report: FailureReporter,
  peers: PeerRegistry,
  decided: (socket: TLSSocket, protocol: Protocol) => void,
): Tls {
  const server = createServer({
    ...contextOptions(material, minVersion),
    ALPNProtocols: ["h2", "http/1.1"] satisfies Protocol[],
    handshakeTimeout: limits.prefaceTimeoutMs,
    requestCert: material.clientCa !== undefined,
    // Node would refuse those without a certificate too.
    rejectUnauthorized: false,
  });
  server.on("secureConnection", (socket) => {
    // A peer that resets its connection is no failure of this process.
    socket.on("error", () => {});
    const certificate = socket.getPeerX509Certificate();
    if (certificate !== undefined && !socket.authorized) {
      const problem = String(socket.authorizationError);
      report(new Error(`a client certificate does not verify: ${problem}`), "client certificate");
      socket.destroy();
      return;
    }
    peers.setPeer(socket, {
      secure: true,
      certificateNames: certificate && namesOf(certificate),
      address: countedAddress(socket.remoteAddress),
      expireTime: certificate?.validToDate.getTime(),
    });
    decided(socket, socket.alpnProtocol === "h2" ? "h2" : "http/1.1");
  });
  server.on("tlsClientError", (error, socket) => {
    report(error, "handshake");
    // Node leaves the connection open after a timeout.
    socket.destroy();
  });
  return {
    accept: (socket) => void server.emit("connection", socket),
    renew: (next) => server.setSecureContext(contextOptions(next, minVersion)),
  };
}

function contextOptions({ cert, key, clientCa }: TlsMaterial, minVersion: SecureVersion) {
  return {
    cert,
    key,
    ca: clientCa,
    ciphers,
    minVersion,
    // Without tickets nothing of an earlier handshake is resumed: each is by the certificates and the CA of now.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}
