import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import type { Readable } from "node:stream";
import { onTestFinished } from "vitest";
import { recordOutput } from "../output/output.ts";

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface CommandOptions {
  readonly input?: string;
  readonly cwd?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Milliseconds after which the command is killed; its status is then null. Default: 20 seconds. */
  readonly timeout?: number;
}

export function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Outcome> {
  return new Promise((done, reject) => {
    const child = spawn(command, args, {
      env: options.environment ?? process.env,
      timeout: options.timeout ?? 20_000,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const text = outputOf(child);
    child.once("error", reject).once("close", (status) => done({ status, ...text }));
    child.stdin.on("error", () => undefined).end(options.input ?? "");
  });
}

function outputOf({ stdout, stderr }: { readonly stdout: Readable; readonly stderr: Readable }) {
  const text = { stdout: "", stderr: "" };
  stdout.setEncoding("utf8").on("data", (chunk: string) => (text.stdout += chunk));
  stderr.setEncoding("utf8").on("data", (chunk: string) => (text.stderr += chunk));
  return text;
}

export interface StartedProcess {
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves with the exit status, or with the signal that ended the process. */
  readonly ended: Promise<number | NodeJS.Signals>;
  signal(signal: NodeJS.Signals): void;
}

/** Starts Node with these arguments. Ends it with `endSignal` when the test finishes. */
export function startNode(
  args: readonly string[],
  options: { readonly env: NodeJS.ProcessEnv; readonly cwd?: string; readonly endSignal: NodeJS.Signals },
): StartedProcess {
  const { env, cwd = process.cwd(), endSignal } = options;
  const child = spawn(process.execPath, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  const text = outputOf(child);
  const ended = once(child, "close").then(([status, signal]: (number | NodeJS.Signals | null)[]) => {
    recordOutput("standard error of sessiond", text.stderr);
    return status ?? signal ?? 0;
  });
  onTestFinished(async () => {
    child.kill(endSignal);
    await ended;
  });
  return {
    pid: child.pid ?? 0,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    ended,
    signal: (signal) => void child.kill(signal),
  };
}

export interface HttpAnswer {
  readonly version: string;
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** Runs `buf curl`. */
export function bufCurl(...args: readonly string[]): Promise<Outcome> {
  return runCommand(resolve("node_modules/.bin/buf"), ["curl", ...args]);
}

/** Makes a request with curl. */
export async function curl(...args: readonly string[]): Promise<HttpAnswer> {
  const { status, stdout, stderr } = await runCommand("curl", [...always, ...args]);
  if (status !== 0) throw new Error(`curl ended with ${status}: ${stderr}`);
  return parseAnswer(stdout);
}

const always = ["--silent", "--show-error", "--include", "--noproxy", "*", "--max-time", "15"];

/** Parses the output of `curl --include`. Skips informational responses ("100 Continue"). */
function parseAnswer(text: string): HttpAnswer {
  const end = text.indexOf("\r\n\r\n");
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const [version = "", status = ""] = first.split(" ");
  const body = text.slice(end + 4);
  if (Number(status) < 200) return parseAnswer(body);
  const headers = new Headers(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }),
  );
  return { version, status: Number(status), headers, body };
}
