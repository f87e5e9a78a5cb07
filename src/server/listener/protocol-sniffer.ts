import type { Socket } from "node:net";

/** What a connection speaks: decided by the preface here, by ALPN where there is TLS. */
export type Protocol = "http/1.1" | "h2";

/** RFC 9113, section 3.4: an HTTP/2 client sends this first, and no HTTP/1 request can start with it. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** The protocol of a connection that began with these bytes, or "undecided" while they fit both. */
export function protocolOf(head: Uint8Array): Protocol | "undecided" {
  const seen = Math.min(head.length, preface.length);
  if (preface.compare(head, 0, seen, 0, seen) !== 0) return "http/1.1";
  return seen === preface.length ? "h2" : "undecided";
}

/** The type of a TLS record that holds a handshake (RFC 8446, 5.1): every TLS connection begins with it, and no HTTP request can. */
const handshakeRecord = 22;

/** The same for a port that speaks TLS, where what is not encrypted has come by mistake. */
export function tlsOrProtocolOf(head: Uint8Array): "tls" | Protocol | "undecided" {
  return head[0] === handshakeRecord ? "tls" : protocolOf(head);
}

/**
 * Waits for the first bytes of a connection and calls `decided` once with what `protocolIn` makes of them, all bytes still
 * readable from the socket. A connection that stays undecided for `timeoutMs`, or ends before, is destroyed without an answer.
 */
export function sniff<T extends string>(
  socket: Socket,
  timeoutMs: number,
  protocolIn: (head: Uint8Array) => T | "undecided",
  decided: (protocol: T) => void,
): void {
  const chunks: Buffer[] = [];
  const timer = setTimeout(() => socket.destroy(), timeoutMs).unref();
  const onReadable = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk !== null) chunks.push(chunk);
    const head = chunks.length === 1 && chunk !== null ? chunk : Buffer.concat(chunks);
    const protocol = protocolIn(head);
    if (protocol === "undecided") return;
    stop();
    // Only now: giving bytes back makes the socket readable again at once, and waiting on would spin.
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
