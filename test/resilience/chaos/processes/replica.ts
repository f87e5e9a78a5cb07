import { type Sessiond, connectSessiond } from "../../../../src/client/client.ts";
import { type Child, startChild } from "../../../support/process/child.ts";

export interface ReplicaOptions {
  readonly databaseUrl: string;
  readonly masterKey: string;
  readonly projectId: string;
  readonly secret: string;
  /** Further variables. */
  readonly environment?: Readonly<Record<string, string>>;
}

export class Replica {
  readonly #options: ReplicaOptions;
  #port = "0";
  #child: Child | undefined;
  #exitExpected = false;
  /** The last error lines of each unexpected exit. */
  readonly unexpectedExits: string[] = [];

  constructor(options: ReplicaOptions) {
    this.#options = options;
  }

  /** Stays the same after a restart. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts the process; a restart uses the same port. */
  async start(): Promise<void> {
    const { databaseUrl, masterKey, projectId, secret, environment } = this.#options;
    const child = startChild("src/cli/main.ts", ["serve"], {
      DATABASE_URL: databaseUrl,
      SESSIOND_MASTER_KEY: masterKey,
      SESSIOND_LISTEN: `127.0.0.1:${this.#port}`,
      SESSIOND_BOOTSTRAP_PROJECT: `${projectId}:${secret}`,
      SESSIOND_LOG_LEVEL: "warn",
      ...environment,
    });
    this.#child = child;
    this.#exitExpected = false;
    void child.ended.then(() => {
      if (!this.#exitExpected) this.unexpectedExits.push(child.errorLines.slice(-5).join("\n"));
    });
    const [, port = ""] = await child.printed(/listens on http:\/\/127\.0\.0\.1:(\d+)/);
    this.#port = port;
  }

  async kill(): Promise<void> {
    this.#exitExpected = true;
    await this.#child?.kill();
  }

  freeze(): void {
    this.#child?.freeze();
  }

  thaw(): void {
    this.#child?.thaw();
  }

  /** A client with its own connection and a default deadline. */
  connect(timeoutMs: number): Sessiond["sessions"] {
    return this.client(timeoutMs).sessions;
  }

  /** Clients of both services. */
  client(timeoutMs: number): Sessiond {
    const { projectId, secret } = this.#options;
    const credential = { projectId, secret };
    return connectSessiond({ baseUrl: this.url, credential, defaultTimeoutMs: timeoutMs });
  }
}
