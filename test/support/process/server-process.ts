import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { temporaryPostgres } from "../postgres/temporary-postgres.ts";
import { startChild } from "./child.ts";

/** `sessiond serve` as a process on its own PostgreSQL. Works without a test runner. */
export interface ServerProcess {
  readonly port: number;
  readonly pid: number;
  readonly projectId: string;
  readonly secret: string;
  /** Authorization header of the bootstrap credential, which has all permissions. */
  readonly basic: string;
  readonly hasEnded: () => boolean;
  readonly errorLines: readonly string[];
  /** Stops the process and removes the database. Idempotent. */
  stop(): Promise<void>;
}

export interface ServerProcessOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Receives each line of standard error: the log and messages of Node. */
  readonly onLine?: (line: string) => void;
}

export async function startServerProcess(options: ServerProcessOptions = {}): Promise<ServerProcess> {
  await using started = new AsyncDisposableStack();
  const projectId = "home";
  const secret = `operator-${randomBytes(16).toString("hex")}`;
  const postgres = await temporaryPostgres({ durable: false });
  started.defer(() => postgres.stop());
  const child = startChild("src/cli/main.ts", ["serve"], {
    DATABASE_URL: postgres.url,
    SESSIOND_MASTER_KEY: randomBytes(32).toString("base64"),
    SESSIOND_LISTEN: "127.0.0.1:0",
    SESSIOND_BOOTSTRAP_PROJECT: `${projectId}:${secret}`,
    ...options.environment,
  });
  started.defer(() => child.kill());
  let ended = false;
  void child.ended.then(() => (ended = true));
  const { onLine } = options;
  if (onLine !== undefined && child.process.stderr !== null) {
    createInterface({ input: child.process.stderr }).on("line", onLine);
  }
  const [, port = ""] = await child.printed(/listens on https?:\/\/127\.0\.0\.1:(\d+)/);
  const running = started.move();
  return {
    port: Number(port),
    pid: child.pid,
    projectId,
    secret,
    basic: `Basic ${Buffer.from(`${projectId}:${secret}`).toString("base64")}`,
    hasEnded: () => ended,
    errorLines: child.errorLines,
    stop: () => running.disposeAsync(),
  };
}
