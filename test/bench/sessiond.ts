import { type Bench, urlOf } from "./bench.ts";
import { cores } from "./machine.ts";
import type { BenchServer } from "./processes.ts";

/** The bench's project and its credential. */
export const project = { id: "bench", secret: "ssk_of-the-bench-and-of-nothing-else" } as const;

/** Authorization header of the bench's calls. */
export const authorization = `Basic ${Buffer.from(`${project.id}:${project.secret}`).toString("base64")}`;

const masterKey = Buffer.alloc(32, 7).toString("base64");

/** Options of {@link startSessiond}. */
export interface SessiondOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly core?: number | undefined;
  /** Module of this folder to load first. */
  readonly preload?: string;
  /** Entry point; by default that of this checkout. */
  readonly main?: URL;
}

/** Starts a server in its default configuration, as `npm start` does. */
export async function startSessiond(
  bench: Bench,
  database: string,
  { environment, core = cores.server, preload, main = entryPoint }: SessiondOptions = {},
): Promise<BenchServer> {
  return bench.processes.startServer(main, {
    args: ["serve"],
    core,
    ...(preload === undefined ? {} : { preload }),
    environment: {
      DATABASE_URL: urlOf(bench, database),
      SESSIOND_MASTER_KEY: masterKey,
      SESSIOND_LISTEN: "127.0.0.1:0",
      SESSIOND_BOOTSTRAP_PROJECT: `${project.id}:${project.secret}`,
      ...environment,
    },
  });
}

const entryPoint = new URL("../../src/cli/main.ts", import.meta.url);
