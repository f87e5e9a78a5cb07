import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { onTestFinished } from "vitest";
import {
  type Outcome,
  type StartedProcess,
  childEnvironment,
  runCommand,
  startNode,
} from "../../support/process/command.ts";
import { recordOutput } from "../../support/output/output.ts";
import type { RunningService } from "../../support/fixtures/running-service.ts";

/** Where the command under test is. */
export const commandFile = resolve("src/cli/main.ts");

/** What else a run has. */
export interface CommandOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly cwd?: string;
}

/** Runs `sessiond` to its end. */
export async function sessiond(args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const environment = childEnvironment(options.environment);
  const outcome = await runCommand(process.execPath, [commandFile, ...args], { ...options, environment });
  recordOutput(`standard error of sessiond ${args[0] ?? ""}`, outcome.stderr);
  return outcome;
}

/** Starts `sessiond`. Ends it with the test. */
export function startSessiond(args: readonly string[], options: CommandOptions = {}): StartedProcess {
  const { cwd = process.cwd(), environment } = options;
  return startNode([commandFile, ...args], { cwd, env: childEnvironment(environment), endSignal: "SIGKILL" });
}

/** The environment by which a command calls this service with its bootstrap credential. */
export function callerOf(
  service: Pick<RunningService, "url" | "projectId" | "secret">,
): Record<string, string> {
  return {
    SESSIOND_SERVER: service.url,
    SESSIOND_PROJECT: service.projectId,
    SESSIOND_SECRET: service.secret,
  };
}

/** An empty folder, for as long as the test runs. */
export async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sessiond-cli-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A file with this text, for as long as the test runs. */
export async function fileWith(text: string): Promise<string> {
  const file = join(await emptyFolder(), "file");
  await writeFile(file, text);
  return file;
}

/** What a table shows, by the titles of its columns. */
export function rowsOf(table: string): Record<string, string>[] {
  const [head = "", line = "", ...rows] = table.trimEnd().split("\n");
  const columns = Array.from(line.matchAll(/-+/g), ({ index, 0: dashes }) => [index, index + dashes.length]);
  return rows.map((row) =>
    Object.fromEntries(
      columns.map(([from, to]) => [head.slice(from, to).trim(), row.slice(from, to).trim()]),
    ),
  );
}
