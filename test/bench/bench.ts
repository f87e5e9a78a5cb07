import { Client } from "pg";
import type { EmbeddedPostgres } from "../../src/embedded-postgres/supervisor.ts";
import type { LoadProcess } from "./load-process.ts";
import type { Processes } from "./processes.ts";

/** How much of everything. */
export interface Extent {
  readonly name: "quick" | "normal" | "full";
  readonly rounds: number;
  /** Seconds of one round of one subject, and before those that count. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Sessions in the large and in the huge database. */
  readonly large: number;
  readonly huge: number;
  /** Calls after which memory is looked at for the last time. */
  readonly memoryCalls: number;
  /** What takes long is made smaller where the whole would take longer than this. */
  readonly secondsInAll: number;
}

/** What all scenarios work with. */
export interface Bench {
  readonly extent: Extent;
  readonly processes: Processes;
  readonly load: LoadProcess;
  readonly postgres: EmbeddedPostgres;
  /** For files that end with the bench. */
  readonly directory: string;
  /** Seconds since it began. */
  readonly elapsed: () => number;
  /** Whether the scenario should have ended by now, for the whole to end in time. */
  readonly late: () => boolean;
  /** Tells whoever waits what is going on. */
  readonly say: (line: string) => void;
}

/** The address of a database of the bench's cluster. */
export function databaseUrl({ postgres }: Bench, database: string): string {
  const url = new URL(postgres.url);
  url.pathname = `/${database}`;
  return url.href;
}

/** Runs a statement, however long it takes. */
export async function execute<Row = unknown>(
  url: string,
  statement: string,
  values: readonly unknown[] = [],
): Promise<readonly Row[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(statement, [...values])).rows;
  } finally {
    await client.end();
  }
}
