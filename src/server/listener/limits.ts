/**
 * Default limits on what one client may cost the process, for an internal service with long-lived channels and small requests.
 * Durations stay below 2^31 milliseconds, beyond which Node's timers fire at once.
 */
export const defaultLimits = {
  /** Time for a new connection to show its protocol, then for its TLS handshake, and for HTTP/2 to acknowledge our SETTINGS. */
  prefaceTimeoutMs: 10_000,
  /** Time for all headers of an HTTP/1 request, counted from the connection or the previous answer. */
  headersTimeoutMs: 15_000,
  /** Time for a whole request with its body. An HTTP/2 request that is being answered is exempt: it may be a conversation. */
  requestTimeoutMs: 60_000,
  /** Idle time of an HTTP/1 connection. Longer than the usual 60 s of load balancers, so that they close first. */
  keepAliveTimeoutMs: 65_000,
  /** Time an HTTP/2 connection may be without a stream. PING does not count as use. */
  sessionIdleTimeoutMs: 300_000,
  /** Time an answer may wait without its client reading any of it. */
  unreadTimeoutMs: 30_000,
  /** Unread bytes of answers of one protocol; beyond it the connections with most of them are cut. */
  maxUnreadBytes: 128 * 1024 * 1024,
  /** Time for a peer to close its side after the server closed the connection. */
  lingerTimeoutMs: 2_000,
  /** Further connections are closed on arrival. Keep it below the process's limit of open files. */
  maxConnections: 16_384,
  /** Bytes of all headers of one request. An HTTP/2 client that has not acknowledged this yet gets 64 KiB. */
  maxHeaderBytes: 16_384,
  /** Open streams of one HTTP/2 connection. */
  maxConcurrentStreams: 250,
  /** Open streams of all HTTP/2 connections, each of some 12 KB; further ones are refused, and may be tried again. */
  maxStreams: 16_384,
  /** Unanswered requests of an HTTP/1 connection; with more it is cut. */
  maxPipelinedRequests: 64,
  /**
   * Streams that a client may open and reset at once, and then per second; beyond it the connection is closed (CVE-2023-44487,
   * "rapid reset"). Above Node's 1,000 and 33, because a client whose calls all miss their deadlines resets as many.
   */
  streamResetBurst: 10_000,
  streamResetsPerSecond: 1_000,
};

export type ListenerLimits = Readonly<typeof defaultLimits>;
