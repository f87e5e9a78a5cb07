import { type Sessiond, connectSessiond } from "../../../../src/client/client.ts";
import { type Child, startChild } from "../../../support/process/child.ts";

/** What replicas of one service have in common. */
export interface ReplicaOptions {
  readonly databaseUrl: string;
  readonly masterKey: string;
  readonly projectId: string;
  readonly secret: string;
}

/** A server in a process of its own. */
export class Replica {
  readonly #options: ReplicaOptions;
  #port = "0";
  #child: Child | undefined;
  #expectEnd = false;
  /** Times that it ended without having been told to, with its last words. */
  readonly surprises: string[] = [];

  private constructor(options: ReplicaOptions) {
    this.#options = options;
  }

  static async start(options: ReplicaOptions): Promise<Replica> {
    const replica = new Replica(options);
    await replica.start();
    return replica;
  }

  /** Stays the same when it is started again. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get errorLines(): readonly string[] {
    return this.#child?.errorLines ?? [];
  }

  /** Starts it, again at the port that it had. */
  async start(): Promise<void> {
    const { databaseUrl, masterKey, projectId, secret } = this.#options;
    const child = startChild("src/cli/main.ts", ["serve"], {
      DATABASE_URL: databaseUrl,
      SESSIOND_MASTER_KEY: masterKey,
      SESSIOND_LISTEN: `127.0.0.1:${this.#port}`,
      SESSIOND_BOOTSTRAP_PROJECT: `${projectId}:${secret}`,
      SESSIOND_LOG_LEVEL: "warn",
    });
    this.#child = child;
    this.#expectEnd = false;
    void child.ended.then(() => {
      if (!this.#expectEnd) this.surprises.push(child.errorLines.slice(-5).join("\n"));
    });
    const [, port = ""] = await child.printed(/listens on http:\/\/127\.0\.0\.1:(\d+)/);
    this.#port = port;
  }

  /** `kill -9`; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#expectEnd = true;
    await this.#child?.kill();
  }

  /** SIGSTOP: it keeps its connections and answers nobody. */
  freeze(): void {
    this.#child?.process.kill("SIGSTOP");
  }

  /** SIGCONT: it goes on as if nothing had happened. */
  thaw(): void {
    this.#child?.process.kill("SIGCONT");
  }

  /** A client with a connection of its own; calls without a deadline of their own get `timeoutMs`. */
  connect(timeoutMs: number): Sessiond["sessions"] {
    const { projectId, secret } = this.#options;
    const credential = { projectId, secret };
    return connectSessiond({ baseUrl: this.url, credential, defaultTimeoutMs: timeoutMs }).sessions;
  }
}
