/**
 * What one client may cost the process. Every duration is in milliseconds and must stay below 2^31, where
 * Node's timers wrap around to "at once".
 */
export interface ListenerLimits {
  /** Time a new connection has to show which protocol it speaks, then for its TLS handshake, and an HTTP/2 one to acknowledge the server's SETTINGS. */
  prefaceTimeoutMs: number;
  /** Time for all headers of an HTTP/1 request, counted from the connection or the previous answer. */
  headersTimeoutMs: number;
  /** Time for a whole request with its body. In HTTP/2 a request that is already being answered is exempt: it may be a conversation. */
  requestTimeoutMs: number;
  /** How long an HTTP/1 connection may stay open between two requests. Longer than the usual 60 s of load balancers, so that they close first. */
  keepAliveTimeoutMs: number;
  /** How long an HTTP/2 connection may stay open with no stream on it. PING does not count as use. */
  sessionIdleTimeoutMs: number;
  /** How long an answer may wait without the client taking any of it. */
  unreadTimeoutMs: number;
  /** Bytes of answers of one protocol that may wait for their clients; beyond it the connections that most waits for are cut. */
  maxUnreadBytes: number;
  /** How long a peer may take to close its side after the server closed the connection. */
  lingerTimeoutMs: number;
  /** Connections beyond this number are closed on arrival. Keep it below the process's limit of open files. */
  maxConnections: number;
  /** Size of all headers of one request in bytes. An HTTP/2 client that has not acknowledged this yet gets 64 KiB. */
  maxHeaderBytes: number;
  /** Streams one HTTP/2 connection may have open at a time. */
  maxConcurrentStreams: number;
  /** Streams all HTTP/2 connections together may have open; further ones are refused, and may be tried again. Each takes some 12 KB. */
  maxStreams: number;
  /** Requests an HTTP/1 connection may have under way; with more it is cut. */
  maxPipelinedRequests: number;
  /** Streams a client may open and reset at once, before `streamResetsPerSecond` holds (CVE-2023-44487, "rapid reset"). */
  streamResetBurst: number;
  /** Streams a client may open and reset per second; beyond it the connection is closed. */
  streamResetsPerSecond: number;
}

/** Limits for an internal service with long-lived client channels and small requests. */
export const defaultLimits: ListenerLimits = {
  prefaceTimeoutMs: 10_000,
  headersTimeoutMs: 15_000,
  requestTimeoutMs: 60_000,
  keepAliveTimeoutMs: 65_000,
  sessionIdleTimeoutMs: 300_000,
  unreadTimeoutMs: 30_000,
  maxUnreadBytes: 128 * 1024 * 1024,
  lingerTimeoutMs: 2_000,
  maxConnections: 16_384,
  maxHeaderBytes: 16_384,
  maxConcurrentStreams: 250,
  maxStreams: 16_384,
  maxPipelinedRequests: 64,
  // Above Node's 1,000 and 33: a client whose calls all run into their deadlines resets that many without malice.
  streamResetBurst: 10_000,
  streamResetsPerSecond: 1_000,
};
