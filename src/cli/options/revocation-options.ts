import { type Command, Option } from "commander";
import { type RevocationCause, RevocationCauseSchema } from "../../../gen/session/v1/session_pb.ts";
import { valueOf, wordsOf } from "../output/enum-format.ts";

/** The options of every command that revokes. */
export interface RevocationOptions {
  readonly cause: string;
  readonly reason: string;
}

/** Adds them. */
export function withRevocation(command: Command): Command {
  return command
    .addOption(
      new Option("--cause <cause>", "why").choices(wordsOf(RevocationCauseSchema)).default("administration"),
    )
    .option("--reason <text>", "why, in words; kept with the sessions, and shown to who may read them", "");
}

/** Why, as the service takes it. */
export function whyOf({ cause, reason }: RevocationOptions): { cause: RevocationCause; reason: string } {
  return { cause: valueOf(RevocationCauseSchema, cause), reason };
}
