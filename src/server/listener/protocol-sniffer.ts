import type { Socket } from "node:net";

/** Protocol of a connection: decided by its first bytes here, by ALPN with TLS. */
export type Protocol = "http/1.1" | "h2";

/** Serves one protocol on connections that the listener accepted, so that protocols can share a port. */
export interface ProtocolServer {
  /** Takes over a connection whose first bytes are unread. The caller keeps an error listener on it. */
  accept(socket: Socket): void;
  /** Closes idle connections now, and each other one when its requests have been answered. Accepts nothing afterwards. */
  drain(): void;
  /** Frees timers when all connections are closed. */
  dispose(): void;
}

/** An HTTP/2 client sends this first (RFC 9113, 3.4), and no HTTP/1 request can start with it. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Type of the TLS record that holds a handshake (RFC 8446, 5.1): every TLS connection begins with it, and no HTTP request can. */
const handshakeRecord = 22;

/** Protocol of a connection that began with these bytes; "undecided" while they fit several. */
export function protocolOf(head: Uint8Array): "tls" | Protocol | "undecided" {
  if (head[0] === handshakeRecord) return "tls";
  const seen = Math.min(head.length, preface.length);
  if (preface.compare(head, 0, seen, 0, seen) !== 0) return "http/1.1";
  return seen === preface.length ? "h2" : "undecided";
}

/**
 * Waits for the first bytes of a connection and calls `decided` once with its protocol; all bytes are still
 * readable from the socket. A connection that stays undecided for `timeoutMs`, or ends before, is destroyed.
 */
export function sniff(
  socket: Socket,
  timeoutMs: number,
  decided: (protocol: "tls" | Protocol) => void,
): void {
  const chunks: Buffer[] = [];
  const timer = setTimeout(() => socket.destroy(), timeoutMs).unref();
  const onReadable = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk !== null) chunks.push(chunk);
    const head = chunks.length === 1 && chunk !== null ? chunk : Buffer.concat(chunks);
    const protocol = protocolOf(head);
    if (protocol === "undecided") return;
    stop();
    // After `stop`: unshift makes the socket readable again at once, and the listener would spin.
    socket.unshift(head);
    decided(protocol);
  };
  const onEnd = () => socket.destroy();
  const stop = () => {
    clearTimeout(timer);
    socket.off("readable", onReadable).off("end", onEnd).off("close", stop);
  };
  socket.on("readable", onReadable).once("end", onEnd).once("close", stop);
}
