import type { Command } from "commander";

/** The option of the commands on what belongs to a project. */
export interface ProjectOptions {
  readonly project?: string;
}

/** Adds it. */
export function withProject(command: Command): Command {
  return command.option("--project <id>", "whose; the calling project's own by default");
}
