/** One kind of call, made as often as possible or a fixed number of times. */
export interface Job {
  readonly url: string;
  /** gRPC or plain requests over HTTP/2 without TLS, or HTTP/1.1 with keep-alive. */
  readonly protocol: "grpc" | "http2" | "http1";
  readonly connections: number;
  /** Concurrent calls on each connection. Must be 1 for HTTP/1.1. */
  readonly streams: number;
  readonly path: string;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  /** For gRPC the message with its five-byte prefix. */
  readonly body: Buffer;
  /** What differs between calls. Without it all calls are equal, and h2load makes them. */
  readonly vary?: Numbers | Lines;
  /** Latin-1 text that a correct answer contains. */
  readonly expect: string;
  readonly until: { readonly seconds: number } | { readonly calls: number };
}

/** Puts another number into each body, as twelve hexadecimal digits. */
export interface Numbers {
  readonly kind: "numbers";
  /** Offset in the body, in bytes. */
  readonly at: number;
  readonly first: number;
  readonly count: number;
  /** Numbers that earlier calls have used. */
  readonly skip: number;
  /** Whether numbers may repeat after all have been used. If not, the job fails then. */
  readonly again: boolean;
}

/** Takes each call from a line of a file: {@link Line} as JSON. */
export interface Lines {
  readonly kind: "lines";
  readonly file: string;
  readonly skip: number;
  readonly again: boolean;
}

/** A call in a file of calls. */
export interface Line {
  readonly headers?: Readonly<Record<string, string>>;
  /** In base64. */
  readonly body: string;
}

export interface Report {
  /** Successful calls per second. */
  readonly perSecond: number;
  /** Number of calls by outcome: "ok", "http 500", "grpc error", "unexpected answer", "connection lost". */
  readonly outcomes: Readonly<Record<string, number>>;
  /** In milliseconds. */
  readonly latency: { readonly p50: number; readonly p99: number };
  /** All calls, including those that were in flight when the time was over. */
  readonly made: number;
}
