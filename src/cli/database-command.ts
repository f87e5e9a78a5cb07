import { type DatabaseConfig, readDatabaseConfig } from "../server/config/config.ts";
import { DatabaseUnreachable } from "../server/operator/operator-database.ts";
import { CommandFailure, exitCodes } from "./failure.ts";
import { inWords } from "./output/in-words.ts";

/** The database that a command works on, as the environment says; fails in words where it says something wrong. */
export function databaseConfigOf(environment: NodeJS.ProcessEnv): DatabaseConfig {
  const read = readDatabaseConfig(environment);
  if ("config" in read) return read.config;
  throw new CommandFailure(
    `the configuration is wrong:\n${read.problems.map((problem) => `  ${problem}`).join("\n")}`,
  );
}

/** Does `work`; a database that does not answer is told with the exit status for that. */
export async function reaching<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DatabaseUnreachable)) throw error;
    throw new CommandFailure(inWords(error), exitCodes.unavailable);
  }
}
