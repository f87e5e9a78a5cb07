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
