/** A connection that makes calls. */
export interface Connection {
  /** Calls without an answer. */
  readonly inFlight: number;
  /** Begins to call, and to call again with every answer. */
  start(): void;
  /** Begins no more calls. */
  stop(): void;
}
