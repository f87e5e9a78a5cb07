import type { EmbeddedPostgres } from "../../src/embedded-postgres/supervisor.ts";
import { databaseUrl } from "../support/postgres/sql.ts";
import type { Load } from "./load/load.ts";
import type { Processes } from "./processes.ts";

/** How much is measured. */
export interface Extent {
  readonly name: "quick" | "normal" | "full";
  readonly rounds: number;
  /** Seconds of load per subject and round. */
  readonly seconds: number;
  /** Sessions in the large and in the huge database. */
  readonly large: number;
  readonly huge: number;
  /** Calls of the memory scenario. */
  readonly memoryCalls: number;
  /** Time limit. Long scenarios shrink to keep it. */
  readonly secondsInAll: number;
}

const normal: Extent = {
  name: "normal",
  rounds: 5,
  seconds: 0.8,
  large: 1_000_000,
  huge: 10_000_000,
  memoryCalls: 1_000_000,
  secondsInAll: 575,
};

/** A minute to see that everything works; ten minutes; without a time limit. */
export const extents: Readonly<Record<Extent["name"], Extent>> = {
  quick: {
    name: "quick",
    rounds: 1,
    seconds: 0.3,
    large: 100_000,
    huge: 100_000,
    memoryCalls: 20_000,
    secondsInAll: 60,
  },
  normal,
  full: { ...normal, name: "full", rounds: 9, seconds: 2, secondsInAll: Infinity },
};

/** What every scenario works with. */
export interface Bench {
  readonly extent: Extent;
  readonly processes: Processes;
  readonly load: Load;
  readonly postgres: EmbeddedPostgres;
  /** Temporary files. Removed at the end. */
  readonly directory: string;
  readonly elapsed: () => number;
  /** Whether the scenario has used up its share of the time limit. */
  readonly late: () => boolean;
  readonly say: (line: string) => void;
}

/** URL of a database of the bench's Postgres. */
export function urlOf({ postgres }: Bench, database: string): string {
  return databaseUrl(postgres.url, database);
}
