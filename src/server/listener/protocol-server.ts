import type { Socket } from "node:net";

/** One protocol served on connections that somebody else accepts, so that any of them can share a port. */
export interface ProtocolServer {
  /** Takes a connection over, with its first bytes unread. The caller keeps an error listener on it. */
  accept(socket: Socket): void;
  /** Closes idle connections now and every other one once the requests it has begun have been answered. Nothing is accepted after. */
  drain(): void;
  /** Frees what is left when all connections are closed. */
  dispose(): void;
}
