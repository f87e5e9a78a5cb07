import { Socket } from "node:net";
import { Client, type ClientConfig } from "pg";
import { DatabaseFailure } from "./database-errors.ts";
import type { Hosts } from "./hosts.ts";
import type { Session } from "./session.ts";

export interface ServerClientConfig extends ClientConfig {
  readonly hosts: Hosts;
}

/** A client of `pg` that connects to the current host, and knows its generation and session. */
export class ServerClient extends Client {
  readonly hosts: Hosts;
  readonly url: string;
  /** See {@link Hosts}. */
  generation: number;
  /** Undefined until the connection is prepared. */
  session: Session | undefined;

  constructor(config?: ServerClientConfig) {
    if (config === undefined) throw new Error("a client needs its hosts");
    const { hosts } = config;
    const url = hosts.current;
    super({ ...config, connectionString: url });
    this.hosts = hosts;
    this.url = url;
    this.generation = hosts.generation;
    hosts.began(this);
    // Also without TLS, which puts another stream on top.
    if (this.connection.stream instanceof Socket) {
      this.connection.stream.once("close", () => hosts.ended(this));
    }
  }

  /** Whether the pool may use the connection: nothing has shown that its host is dead or replaced. */
  get isCurrent(): boolean {
    return this.generation === this.hosts.generation;
  }

  /** See {@link Hosts.moveTo}. */
  abandon(): void {
    const { stream } = this.connection;
    if (stream instanceof Socket) stream.destroy(new DatabaseFailure("the database has another primary"));
  }

  /**
   * Sends the queries that `submit` starts in one write. A row lock of one of them then never waits for this process before
   * the next.
   */
  inOneWrite<T>(submit: () => T): T {
    const { stream } = this.connection;
    stream.cork();
    try {
      return submit();
    } finally {
      stream.uncork();
    }
  }
}
