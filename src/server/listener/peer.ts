import { type Peer, anybody } from "../../auth/peer.ts";

/** A peer, as its connection is kept. */
export interface ConnectedPeer extends Peer {
  /** When its certificate expires, in milliseconds since 1970. */
  readonly expireTime: number | undefined;
}

/** By connection: a socket, or the HTTP/2 session on it, which shows its socket to nobody. */
const peers = new WeakMap<object, ConnectedPeer>();

/** Notes who is at the other end of a connection. */
export function introduce(connection: object, peer: ConnectedPeer): void {
  peers.set(connection, peer);
}

/** Who is at the other end of a connection. */
export function peerOf(connection: object | undefined): Peer {
  return (connection && peers.get(connection)) ?? anybody;
}

/** Has what is known of a connection's peer be known of what is made of it. */
export function passOn(from: object, to: object): void {
  const peer = peers.get(from);
  if (peer !== undefined) peers.set(to, peer);
}

/** Whether the peer's certificate was good in the handshake and is not any more. */
export function hasExpired(connection: object): boolean {
  return (peers.get(connection)?.expireTime ?? Infinity) <= Date.now();
}

/** Longest that Node's timers can wait. */
const longestTimeout = 2 ** 31 - 1;

/**
 * Calls `expired` once when the peer's certificate expires, or after 24 days where that is sooner; the returned function calls
 * it off.
 */
export function whenExpired(connection: object, expired: () => void): () => void {
  const expireTime = peers.get(connection)?.expireTime;
  if (expireTime === undefined) return () => undefined;
  const timer = setTimeout(expired, Math.min(Math.max(0, expireTime - Date.now()), longestTimeout)).unref();
  return () => clearTimeout(timer);
}
