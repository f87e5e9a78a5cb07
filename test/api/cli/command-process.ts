import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, onTestFinished } from "vitest";
import { type Outcome, runCommand } from "../../support/process/command.ts";
import { recordOutput } from "../../support/output/output.ts";
import type { RunningService } from "../../support/fixtures/running-service.ts";

/** Where the command under test is. */
export const commandFile = resolve("src/cli/main.ts");

/** Spares all processes of a file but the first half of their start, which is compiling. */
const compileCache = mkdtempSync(join(tmpdir(), "sessiond-compiled-"));
afterAll(() => rm(compileCache, { recursive: true, force: true }));

/** What else a run has. */
export interface CommandOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly cwd?: string;
}

/** The environment of a command: nothing of the test's own but PATH. */
export function environmentOf(environment: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { PATH: process.env["PATH"], NODE_COMPILE_CACHE: compileCache, ...environment };
}

/** Runs `sessiond` to its end. */
export async function sessiond(args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const environment = environmentOf(options.environment);
  const outcome = await runCommand(process.execPath, [commandFile, ...args], { ...options, environment });
  recordOutput(`standard error of sessiond ${args[0] ?? ""}`, outcome.stderr);
  return outcome;
}

/** `sessiond` that goes on until it is told to end. */
export interface LongCommand {
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  signal(signal: NodeJS.Signals): void;
  /** Resolves with its exit status, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** Starts `sessiond`; ends it with the test. */
export function startSessiond(args: readonly string[], options: CommandOptions = {}): LongCommand {
  const child = spawn(process.execPath, [commandFile, ...args], {
    env: environmentOf(options.environment),
    stdio: ["ignore", "pipe", "pipe"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const text = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text.stdout += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text.stderr += chunk));
  void once(child, "close").then(() => recordOutput("standard error of sessiond", text.stderr));
  const ended = once(child, "close").then(
    ([status, signal]: (number | NodeJS.Signals | null)[]) => status ?? signal ?? 0,
  );
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return {
    pid: child.pid ?? 0,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    signal: (signal) => void child.kill(signal),
    ended,
  };
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
