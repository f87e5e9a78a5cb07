import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, onTestFinished } from "vitest";
import { type Outcome, type StartedProcess, runCommand, startNode } from "../../support/process/command.ts";
import { childEnvironment } from "../../support/process/child.ts";
import { recordOutput } from "../../support/output/output.ts";
import type { RunningService } from "../../support/fixtures/running-service.ts";

export const commandFile = resolve("src/cli/main.ts");

interface CommandOptions {
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

/** Runs a command line of bash in which "$@" is `sessiond` with these arguments. */
export function sessiondInBash(
  script: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const bashArgs = ["--norc", "-c", script, "bash", process.execPath, commandFile, ...args];
  return runCommand("bash", bashArgs, { environment: childEnvironment(environment) });
}

/** Starts `sessiond`, which is killed at the end of the test. */
export function startSessiond(args: readonly string[], options: CommandOptions = {}): StartedProcess {
  const { cwd = process.cwd(), environment } = options;
  return startNode([commandFile, ...args], { cwd, env: childEnvironment(environment), endSignal: "SIGKILL" });
}

/** Runs `sessiond` on a terminal of Linux, with this input. */
export function onTerminal(
  args: readonly string[],
  answer: string,
  environment: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const words = [process.execPath, commandFile, ...args].map((word) => `'${word}'`);
  const script = ["--quiet", "--return", "--command", words.join(" "), "/dev/null"];
  return runCommand("script", script, { environment: childEnvironment(environment), input: answer });
}

/** The environment with which a command calls a service with its bootstrap credential. */
export function callerOf(service: Pick<RunningService, "url" | "projectId" | "secret">) {
  const { url, projectId, secret } = service;
  return { SESSIOND_SERVER: url, SESSIOND_PROJECT: projectId, SESSIOND_SECRET: secret };
}

/** The JSON document that a successful command prints. */
export async function jsonOf<T>(run: Promise<Outcome>): Promise<T> {
  const { status, stdout, stderr } = await run;
  expect({ status, stderr }).toMatchObject({ status: 0 });
  return JSON.parse(stdout) as T;
}

/** An empty folder that is removed after the test. */
export async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sessiond-cli-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A file with this text that is removed after the test. */
export async function fileWith(text: string): Promise<string> {
  const file = join(await emptyFolder(), "file");
  await writeFile(file, text);
  return file;
}

/** The rows of a printed table, by column title. */
export function rowsOf(table: string): Record<string, string>[] {
  const [head = "", line = "", ...rows] = table.trimEnd().split("\n");
  const columns = Array.from(line.matchAll(/-+/g), ({ index, 0: dashes }) => [index, index + dashes.length]);
  const cells = (row: string) => columns.map(([from, to]) => row.slice(from, to).trim());
  const titles = cells(head);
  return rows.map((row) => Object.fromEntries(cells(row).map((cell, i) => [titles[i], cell])));
}

/** A TCP server on loopback, which is closed after the test. Returns its port. */
export async function listenOnLoopback(server: Server): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}
