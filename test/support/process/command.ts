import { spawn } from "node:child_process";

/** How a command ended. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run a command. */
interface CommandOptions {
  readonly input?: string;
  readonly cwd?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Milliseconds after which it is ended, and its status is null: 20 seconds unless told. */
  readonly timeout?: number;
}

/** Runs a command to its end. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: options.environment ?? process.env,
      timeout: options.timeout ?? 20_000,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const text = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text.stdout += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text.stderr += chunk));
    child.once("error", reject).once("close", (status) => resolve({ status, ...text }));
    child.stdin.on("error", () => undefined).end(options.input ?? "");
  });
}

/** An answer over HTTP. */
export interface HttpAnswer {
  readonly version: string;
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** Asks with curl, as the arguments say. */
export async function curl(...args: readonly string[]): Promise<HttpAnswer> {
  const { status, stdout, stderr } = await runCommand("curl", [...always, ...args]);
  if (status !== 0) throw new Error(`curl ended with ${status}: ${stderr}`);
  return parseAnswer(stdout);
}

const always = ["--silent", "--show-error", "--include", "--noproxy", "*", "--max-time", "15"];

/** The last answer in what `curl --include` printed: those before it are informational ("100 Continue"). */
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
