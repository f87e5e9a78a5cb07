import { constants } from "node:crypto";
import type { Socket } from "node:net";
import { type SecureVersion, type TLSSocket, createServer } from "node:tls";
import type { FailureReporter } from "./guard.ts";
import type { ListenerLimits } from "./limits.ts";
import type { PeerRegistry } from "./peer.ts";
import type { Protocol } from "./protocol-sniffer.ts";
import type { TlsMaterial } from "../tls/certificates.ts";
import { subjectNames } from "../tls/subject-names.ts";

export interface TlsOptions {
  readonly material: TlsMaterial;
  /** Oldest version accepted. */
  readonly minVersion: SecureVersion;
}

/** Forward secrecy and authenticated encryption only: TLS 1.3, and the TLS 1.2 suites that HTTP/2 permits (RFC 9113, 9.2.2). */
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
 * Does TLS handshakes on accepted connections, and passes each connection to `decided` after its handshake. ALPN selects the protocol; a client without ALPN speaks HTTP/1.1.
 * Client certificates are requested if there is a CA for them. A client without one may use another credential, but one whose
 * certificate does not verify is cut off, so that its owner notices.
 */
export function createTls(
  { material, minVersion }: TlsOptions,
  limits: ListenerLimits,
  report: FailureReporter,
  peers: PeerRegistry,
  decided: (socket: TLSSocket, protocol: Protocol) => void,
) {
  const server = createServer({
    ...contextOptions(material, minVersion),
    ALPNProtocols: ["h2", "http/1.1"] satisfies Protocol[],
    handshakeTimeout: limits.prefaceTimeoutMs,
    requestCert: material.clientCa !== undefined,
    // `true` would also refuse clients without a certificate.
    rejectUnauthorized: false,
  });
  server.on("secureConnection", (socket) => {
    // Connection resets are not failures of this process.
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
      certificateNames: certificate && subjectNames(certificate),
      address: socket.remoteAddress,
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
    /** Takes over a connection whose first bytes are unread. */
    accept: (socket: Socket) => void server.emit("connection", socket),
    /** Replaces the certificates for new handshakes. Existing connections are unaffected. */
    renew: (next: TlsMaterial) => server.setSecureContext(contextOptions(next, minVersion)),
  };
}

function contextOptions({ cert, key, clientCa }: TlsMaterial, minVersion: SecureVersion) {
  return {
    cert,
    key,
    ca: clientCa,
    ciphers,
    minVersion,
    // Without tickets no session is resumed, so that every handshake uses the current certificates and CA.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}
