import { type Sessiond, connectSessiond } from "../../src/client/client.ts";
import { type Bench, urlOf } from "./bench.ts";
import { cores } from "./machine.ts";
import type { BenchServer, ProcessOptions } from "./processes.ts";

/** The bench's project and its credential. */
export const project = { id: "bench", secret: "ssk_of-the-bench-and-of-nothing-else" } as const;

export const authorization = `Basic ${Buffer.from(`${project.id}:${project.secret}`).toString("base64")}`;

const masterKey = Buffer.alloc(32, 7).toString("base64");

/** A client of a server, for the bench's project or a copy of it. */
export function sessionsOf(
  { url: baseUrl }: Pick<BenchServer, "url">,
  projectId: string = project.id,
): Sessiond["sessions"] {
  const credential = { projectId, secret: project.secret };
  return connectSessiond({ baseUrl, credential, defaultTimeoutMs: 60_000 }).sessions;
}

/** Starts a server in its default configuration, as `npm start` does; `main` is its entry point. */
export async function startSessiond(
  bench: Bench,
  database: string,
  { main = entryPoint, environment, ...options }: ProcessOptions & { readonly main?: URL } = {},
): Promise<BenchServer> {
  return bench.processes.startServer(main, {
    core: cores.server,
    ...options,
    args: ["serve"],
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
