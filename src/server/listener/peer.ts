import { type Peer, unknownPeer } from "../../auth/request-credentials.ts";
import { maxTimerMs } from "../../transport/deadline.ts";

export interface ConnectedPeer extends Peer {
  /** When its certificate expires, in milliseconds since 1970. */
  readonly expireTime: number | undefined;
}

/** Peers by connection: a socket, or the HTTP/2 session on it, which hides its socket. */
export class PeerRegistry {
  readonly #peers = new WeakMap<object, ConnectedPeer>();

  setPeer(connection: object, peer: ConnectedPeer): void {
    this.#peers.set(connection, peer);
  }

  /** Peer of a connection; {@link unknownPeer} if the connection is unknown. */
  peerOf(connection: object | undefined): Peer {
    return (connection && this.#peers.get(connection)) ?? unknownPeer;
  }

  /** Copies peer information from a socket to the HTTP/2 session created on it. */
  copyPeer(from: object, to: object): void {
    const peer = this.#peers.get(from);
    if (peer !== undefined) this.#peers.set(to, peer);
  }

  /** Whether the peer's certificate has expired since the handshake. */
  hasExpired(connection: object): boolean {
    return (this.#peers.get(connection)?.expireTime ?? Infinity) <= Date.now();
  }

  /** Calls `expired` when the peer's certificate expires, or after 24 days at the latest. Returns a function that cancels it. */
  whenExpired(connection: object, expired: () => void): () => void {
    const expireTime = this.#peers.get(connection)?.expireTime;
    if (expireTime === undefined) return () => undefined;
    const delayMs = Math.min(Math.max(0, expireTime - Date.now()), maxTimerMs);
    const timer = setTimeout(expired, delayMs).unref();
    return () => clearTimeout(timer);
  }
}

/**
 * Address that limits count a connection by: an IPv4 address as it is, also in its IPv6 form (`::ffff:192.0.2.1`); the first
 * 64 bits of an IPv6 address, because one client usually has all addresses that differ in the rest.
 */
export function countedAddress(address: string | undefined): string | undefined {
  if (address === undefined || !address.includes(":")) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [text = ""] = address.split("%");
  const [before = [], after = []] = text
    .split("::")
    .map((part) => part.split(":").filter((group) => group !== ""));
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0");
  return `${[...before, ...zeros, ...after].slice(0, 4).join(":")}::/64`;
}
