import { Command, CommanderError } from "commander";
import { outliveBrokenOutput } from "./broken-output.ts";
import { addCredentialCommands } from "./commands/credential.ts";
import { addKeysCommands } from "./commands/keys.ts";
import type { MigrateOptions } from "./commands/migrate.ts";
import { addProjectCommands } from "./commands/project.ts";
import type { PurgeOptions } from "./commands/purge.ts";
import { addSessionsCommands } from "./commands/sessions.ts";
import { type ConnectionOptions, withConnection } from "./connection.ts";
import { exitCodes } from "./failure.ts";
import { runs } from "./run.ts";
import { version } from "../server/config/config.ts";

const epilogue = `
Commands that call the service find it and their credential so:
  service     --server, else SESSIOND_SERVER, else http://127.0.0.1:8080
  credential  --as and --secret-file, else SESSIOND_PROJECT and SESSIOND_SECRET_FILE or SESSIOND_SECRET;
              with none of them, and a service on this machine, the project "development"
              of \`sessiond serve\` in this folder (SESSIOND_DATA_DIR)
  Secrets are never taken from arguments.

Exit status:
  0  done        2  the command line is wrong       4  credential refused, or permission missing
  1  failed      3  no such session, project, …     5  service or database does not answer: try again
  141  who read the output went away

Results go to standard output, all else to standard error. --json prints messages of the API in proto JSON, and errors
as {"error": {"code", "reason", "message", "metadata"}}.`;

/** The command `sessiond`, ready to parse. What runs the service is loaded only where it is needed: it takes a while. */
export function sessiondProgram(): Command {
  const program = new Command("sessiond")
    .description("An internal session service over gRPC, Connect and REST, and what its operators need.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [command]", "print help for a command")
    .addHelpText("after", epilogue)
    .exitOverride();
  program
    .command("serve")
    .description("run the service; configuration comes from the environment (see the README)")
    .action(async () => (await import("./serve/serve.ts")).serve(process.env));
  addMigrateCommands(program);
  addPurgeCommand(program);
  program
    .command("demo")
    .description("play the main job against a service of its own, and print it as a table")
    .action(async () => (await import("./demo/demo.ts")).demo());
  addProjectCommands(program);
  addCredentialCommands(program);
  addKeysCommands(program);
  addSessionsCommands(program);
  const doctor = program
    .command("doctor")
    .description("check configuration, database, keys, clock, address and service, and say what to mend")
    .addHelpText("after", "\nIt changes nothing. Exit status 1 if a check fails; a warning does not.");
  runs<ConnectionOptions>(withConnection(doctor), async (run) =>
    (await import("./commands/doctor.ts")).doctor(run),
  );
  return program;
}

function addMigrateCommands(program: Command): void {
  const migrate = program
    .command("migrate")
    .description(
      "bring the schema of the database up to date, as `serve` does when it starts; replicas may run",
    )
    .option("--dry-run", "only say which migrations would be applied")
    .addHelpText(
      "after",
      "\nIt takes the database from DATABASE_URL, else the embedded one in SESSIOND_DATA_DIR.",
    );
  runs<MigrateOptions>(migrate, async (run) => (await import("./commands/migrate.ts")).migrate(run));
  const status = migrate
    .command("status")
    .description("list migrations; exit status 1 unless the schema is that of this version");
  runs(status, async (run) => (await import("./commands/migrate.ts")).migrateStatus(run));
}

function addPurgeCommand(program: Command): void {
  const purge = program
    .command("purge")
    .description(
      "delete sessions and revocations that ended longer ago than retention, as `serve` does by itself; replicas may run",
    )
    .option("--dry-run", "only say how many that are")
    .option(
      "--retention-days <days>",
      "how long what has ended is kept (SESSIOND_RETENTION_DAYS; default: 90)",
    )
    .addHelpText(
      "after",
      "\nIt takes the database from DATABASE_URL, else the embedded one in SESSIOND_DATA_DIR. One purges at a time: exit status 1\n" +
        "if somebody else is at it, or if it was interrupted, after its batch.",
    );
  runs<PurgeOptions>(purge, async (run) => (await import("./commands/purge.ts")).purge(run));
}

/**
 * Runs the command. A command line that makes no sense is told on standard error with the usage, or as JSON where that is asked
 * for, and ends with status 2.
 */
export async function runProgram(args: readonly string[]): Promise<void> {
  outliveBrokenOutput();
  const program = sessiondProgram();
  if (args.includes("--json")) tellingAsJson(program);
  else showingUsage(program);
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) process.exitCode = exitCodes.usage;
  }
}

function showingUsage(command: Command): void {
  command.showHelpAfterError();
  for (const sub of command.commands) showingUsage(sub);
}

function tellingAsJson(command: Command): void {
  command.configureOutput({
    outputError: (text, write) => {
      const message = text.trim().replace(/^error: /, "");
      write(`${JSON.stringify({ error: { code: "USAGE", reason: "", message, metadata: {} } })}\n`);
    },
  });
  for (const sub of command.commands) tellingAsJson(sub);
}
