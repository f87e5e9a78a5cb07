import { type Bench, databaseUrl } from "./bench.ts";
import { cores } from "./pin.ts";
import type { BenchProcess } from "./processes.ts";

/** The project whose sessions are called for, and how. */
export const project = { id: "bench", secret: "ssk_of-the-bench-and-of-nothing-else" } as const;

/** The header by which the bench calls. */
export const authorization = `Basic ${Buffer.from(`${project.id}:${project.secret}`).toString("base64")}`;

const masterKey = Buffer.alloc(32, 7).toString("base64");

/** A server under test, in its default configuration, its log in a file. */
export type Sessiond = BenchProcess & { readonly url: string };

/**
 * Starts the server as `npm start` does, on a database of the bench's cluster. Bound to the servers' core unless the caller
 * says otherwise.
 */
export function startSessiond(
  bench: Bench,
  database: string,
  {
    environment = {},
    core = cores.server,
    preload,
  }: {
    readonly environment?: Readonly<Record<string, string>>;
    readonly core?: number | undefined;
    /** A file of the bench that the server loads first. */
    readonly preload?: string;
  } = {},
): Promise<Sessiond> {
  return bench.processes.startServer("src/cli/main.ts", {
    args: ["serve"],
    core,
    ...(preload === undefined ? {} : { preload }),
    environment: {
      DATABASE_URL: databaseUrl(bench, database),
      SESSIOND_MASTER_KEY: masterKey,
      SESSIOND_LISTEN: "127.0.0.1:0",
      SESSIOND_BOOTSTRAP_PROJECT: `${project.id}:${project.secret}`,
      ...environment,
    },
  });
}
