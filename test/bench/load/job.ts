/** What a generator of load does: one kind of call, as often as it can or so many times. */
export interface Job {
  /** `http://host:port`. */
  readonly url: string;
  /** gRPC over HTTP/2 without TLS, or JSON over HTTP/1.1 on connections that are kept. */
  readonly protocol: "grpc" | "http1";
  /** Connections, and calls that are in flight on each; HTTP/1.1 has one. */
  readonly connections: number;
  readonly streams: number;
  readonly path: string;
  /** POST by default; gRPC knows nothing else. */
  readonly method?: "GET" | "POST";
  /** Beside those that the protocol asks for. */
  readonly headers: Readonly<Record<string, string>>;
  /** Base64: for gRPC the message in its frame. */
  readonly body: string;
  /** What differs from call to call; nothing where undefined. */
  readonly vary?: Numbers | RequestFile;
  /** Latin-1 text that a good answer contains, beside its status. */
  readonly expect?: string;
  /** When it ends: after so many seconds that count, or when so many calls that count have been answered. */
  readonly until: { readonly seconds: number } | { readonly calls: number };
  /** Seconds before those that count; with a number of calls, none. */
  readonly warmUpSeconds: number;
}

/** Each call carries a number: twelve hexadecimal digits somewhere in the body. */
export interface Numbers {
  readonly kind: "numbers";
  /** Offset in the body, in bytes. */
  readonly at: number;
  /** The smallest number, and how many there are. */
  readonly first: number;
  readonly count: number;
  /** Calls before this one that have taken their numbers. A run goes on where the last one stopped. */
  readonly skip: number;
  /** Whether a number may come again when all have been used; without, the run fails by then. */
  readonly again: boolean;
}

/** Each call is a line of a file, as JSON: its headers, and its body as text. HTTP/1.1 only. */
export interface RequestFile {
  readonly kind: "file";
  readonly file: string;
  /** As for {@link Numbers}. */
  readonly skip: number;
  readonly again: boolean;
}

/** How it went. */
export interface Report {
  /** Calls that count, whatever their outcome, and in how many seconds they were answered. */
  readonly calls: number;
  readonly seconds: number;
  /** Successful calls a second. */
  readonly perSecond: number;
  /** How often each outcome was seen: "ok", "grpc 5", "http 500", "unexpected answer", "reset 8", "connection lost". */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Milliseconds. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Share of a core that the generator was busy. Near 1 it was the bottleneck itself. */
  readonly busy: number;
  /** All calls that were made, those of the warm-up too. */
  readonly made: number;
}

/** Beyond this share of a core a generator says less about the server than about itself. */
export const bottleneck = 0.9;
