import { Command, CommanderError } from "commander";
import { version } from "../server/config/config.ts";
import { addCredentialCommands } from "./commands/credential.ts";
import { addKeysCommands } from "./commands/keys.ts";
import { addProjectCommands } from "./commands/project.ts";
import { addSessionsList, addSessionsRevocations } from "./commands/sessions-list.ts";
import { addSessionsRevoke } from "./commands/sessions-revoke.ts";
import { addSessionsWatch } from "./commands/sessions-watch.ts";
import { exitCodes } from "./output/failure.ts";
import { surviveBrokenOutput } from "./output/output.ts";
import { addCommand } from "./run/command.ts";
import { connectionOptions } from "./run/target.ts";
import { yesOption } from "./run/terminal.ts";

const epilogue = `
Commands that call the service find it and their credential so:
  service     --server, else SESSIOND_SERVER, else http://127.0.0.1:8080
  credential  --as and --secret-file, else SESSIOND_PROJECT and SESSIOND_SECRET_FILE or SESSIOND_SECRET;
              without any of them, and with a service on this machine, the project "development"
              of \`sessiond serve\` in this folder (SESSIOND_DATA_DIR)
  Secrets are never arguments.

Exit status:
  0  success     2  the command line is wrong       4  credential refused, or permission missing
  1  failure     3  no such session, project, …     5  service or database does not answer: try again
  141  the reader of the output went away

Results go to standard output, everything else to standard error. --json prints messages of the API in proto JSON, and
errors as {"error": {"code", "reason", "message", "metadata"}}.`;

const databaseHelp = "\nThe database is that of DATABASE_URL, or else the embedded one in SESSIOND_DATA_DIR.";

/** Runs the command. A wrong command line ends with status 2, and with the usage or JSON on standard error. */
export async function runProgram(args: readonly string[]): Promise<void> {
  surviveBrokenOutput();
  const program = new Command("sessiond")
    .description(
      "An internal session service over gRPC, Connect and REST, and the commands of its operators.",
    )
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [command]", "print help for a command")
    .addHelpText("after", epilogue)
    .exitOverride();
  // Inherited by the commands that are added later.
  if (args.includes("--json")) program.configureOutput({ outputError: writeErrorAsJson });
  else program.showHelpAfterError();
  addCommands(program);
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) process.exitCode = exitCodes.usage;
  }
}

function writeErrorAsJson(text: string, write: (text: string) => void): void {
  const message = text.trim().replace(/^error: /, "");
  write(`${JSON.stringify({ error: { code: "USAGE", reason: "", message, metadata: {} } })}\n`);
}

/** Commands that need the server's code load it when they run, because it takes a while. */
function addCommands(program: Command): void {
  program
    .command("serve")
    .description("run the service; configuration comes from the environment (see the README)")
    .action(async () => (await import("./serve/serve.ts")).serve(process.env));
  addDatabaseCommands(program);
  program
    .command("demo")
    .description("show the main use case on a service of its own, as a table")
    .action(async () => (await import("./demo/demo.ts")).demo());
  addProjectCommands(program);
  addCredentialCommands(program);
  addKeysCommands(program);
  const sessions = program
    .command("sessions")
    .description("sessions of the calling project: list, revoke, revoke-all, revocations, watch");
  addSessionsList(sessions);
  addSessionsRevoke(sessions);
  addSessionsRevocations(sessions);
  addSessionsWatch(sessions);
  addCommand(program, "doctor", {
    description: "check configuration, database, keys, clock, address and service, and say what to correct",
    options: connectionOptions,
    help: "\nIt changes nothing. Exit status 1 if a check fails; a warning does not count.",
    action: async (run) => (await import("./doctor/doctor.ts")).doctor(run),
  });
}

function addDatabaseCommands(program: Command): void {
  const migrate = addCommand(program, "migrate", {
    description: "apply migrations to the database, as `serve` does when it starts; replicas may run",
    options: { "--dry-run": "only list the migrations that would be applied" },
    help: databaseHelp,
    action: async (run) => (await import("./commands/database.ts")).migrate(run),
  });
  addCommand(migrate, "status", {
    description: "list migrations; exit status 1 unless the schema is that of this version",
    options: {},
    action: async (run) => (await import("./commands/database.ts")).migrateStatus(run),
  });
  addCommand(program, "purge", {
    description:
      "delete sessions and revocations that ended longer ago than the retention, as `serve` does in the background; " +
      "replicas may run",
    options: {
      "--dry-run": "only count them",
      "--retention-days <days>": "how long ended sessions are kept (SESSIOND_RETENTION_DAYS; default: 90)",
    },
    help:
      `${databaseHelp} Only one purge can run: exit status 1\n` +
      "if another is running, or if this one was interrupted, which ends it after the current batch.",
    action: async (run) => (await import("./commands/database.ts")).purge(run),
  });
  addCommand(program, "recover", {
    description:
      "after a restore from a backup, before replicas start: revoke every session, session JWT and signing key that the backup " +
      "holds, and start a new history of each project, so that no copy of the lost one is trusted",
    options: {
      "--dry-run": "only list what would be recovered",
      "--force":
        "recover although processes serve from the database; by default they must have been stopped for 10 seconds",
      "--keep-sessions":
        "keep the sessions of the backup active, those too that were revoked after it; session JWTs are revoked all the same",
      "--again": "start a new recovery: the database was restored after it had been recovered",
      ...yesOption,
    },
    help:
      `${databaseHelp} A run that was interrupted is\n` +
      "continued by the same command. SESSIOND_MASTER_KEY, if set, encrypts the new signing keys; otherwise they are created\n" +
      "on first use. src/server/backup.md describes backup and restore.",
    action: async (run) => (await import("./commands/recover.ts")).recover(run),
  });
}
