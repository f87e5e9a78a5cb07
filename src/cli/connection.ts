import { resolve } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Command } from "commander";
import { type Sessiond, connectSessiond } from "../client/client.ts";
import { errorInfoOf } from "../client/error-info.ts";
import { developmentProjectId, developmentSecretFile } from "../server/config/data-directory.ts";
import { isLoopback } from "../server/config/config.ts";
import { CommandFailure, exitCodes, usageFailure } from "./failure.ts";
import type { Run } from "./run.ts";
import type { SecretInput } from "./credentials/secret-input.ts";

/** The options of every command that calls the service. */
export interface ConnectionOptions {
  readonly server?: string;
  readonly as?: string;
  readonly secretFile?: string;
  readonly timeout: string;
}

/** Whom to call, and as whom. */
export interface Target {
  readonly baseUrl: string;
  /** Whether somebody said so, and not the default. */
  readonly isGiven: boolean;
  readonly credential: { readonly projectId: string; readonly secret: string };
  /** Of one call, in milliseconds. */
  readonly timeout: number;
}

const defaultServer = "http://127.0.0.1:8080";

/** Adds the options of a connection to a command. */
export function withConnection(command: Command): Command {
  return command
    .option("--server <url>", `the service to call (SESSIOND_SERVER; default: ${defaultServer})`)
    .option("--as <project>", "the project that calls (SESSIOND_PROJECT)")
    .option("--secret-file <file>", "file with its secret, - for standard input (SESSIOND_SECRET_FILE)")
    .option("--timeout <seconds>", "longest wait for an answer", "30");
}

/**
 * Whom to call: options before environment, environment before defaults. Where neither names a project nor a secret, and the
 * service is on this machine, it is the project `development` with the secret that `sessiond serve` keeps for it.
 */
export async function findTarget(
  options: ConnectionOptions,
  environment: NodeJS.ProcessEnv,
  secrets: SecretInput,
): Promise<Target> {
  const given = options.server ?? said(environment["SESSIOND_SERVER"]);
  const baseUrl = readBaseUrl(given ?? defaultServer);
  const timeout = readTimeout(options.timeout);
  const projectId = options.as ?? said(environment["SESSIOND_PROJECT"]);
  const secret = await readSecret(options, environment, secrets);
  const isGiven = given !== undefined;
  if (projectId !== undefined && secret !== undefined) {
    return { baseUrl, isGiven, timeout, credential: { projectId, secret } };
  }
  if (projectId !== undefined) {
    throw usageFailure(
      `no secret for project ${projectId}: --secret-file, SESSIOND_SECRET_FILE or SESSIOND_SECRET gives one`,
    );
  }
  if (secret !== undefined) {
    throw usageFailure("a secret, but no project that calls: --as or SESSIOND_PROJECT names it");
  }
  return {
    baseUrl,
    isGiven,
    timeout,
    credential: await developmentCredential(baseUrl, environment, secrets),
  };
}

/** An empty variable counts as absent, as everywhere. */
function said(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

async function readSecret(
  options: ConnectionOptions,
  environment: NodeJS.ProcessEnv,
  secrets: SecretInput,
): Promise<string | undefined> {
  const file = options.secretFile ?? said(environment["SESSIOND_SECRET_FILE"]);
  return file === undefined ? said(environment["SESSIOND_SECRET"]) : secrets.read(file, "secret");
}

const howToCall =
  "--as and --secret-file, or SESSIOND_PROJECT and SESSIOND_SECRET_FILE or SESSIOND_SECRET, say as whom to call";

async function developmentCredential(baseUrl: string, environment: NodeJS.ProcessEnv, secrets: SecretInput) {
  // Any other machine is not told this secret, whoever it says it is.
  const host = new URL(baseUrl).hostname.replace(/^\[(.*)\]$/, "$1"); // a URL has IPv6 in brackets
  if (!isLoopback(host)) throw usageFailure(`no credential for ${baseUrl}: ${howToCall}`);
  const file = developmentSecretFile(said(environment["SESSIOND_DATA_DIR"]) ?? ".sessiond");
  try {
    return { projectId: developmentProjectId, secret: await secrets.read(file, "secret") };
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw usageFailure(
      `no credential: ${howToCall}. For the development project, call from where \`sessiond serve\` runs: there is no secret in ${resolve(file)}`,
    );
  }
}

function isMissing(error: unknown): boolean {
  const cause = error instanceof CommandFailure ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}

function readBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    throw usageFailure(`the server must be a URL such as ${defaultServer}, without a credential in it`);
  }
  return url.href.replace(/\/+$/, "");
}

function readTimeout(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 86_400) return Math.ceil(seconds * 1000);
  throw usageFailure("--timeout must be a number of seconds, up to 86400");
}

/** Calls the service, and ends the connection afterwards. A service that cannot be reached is told with its address. */
export async function calling<T>(
  { options, environment, secrets }: Pick<Run<ConnectionOptions>, "options" | "environment" | "secrets">,
  use: (sessiond: Sessiond, target: Target) => Promise<T>,
): Promise<T> {
  const target = await findTarget(options, environment, secrets);
  const { baseUrl, credential, timeout } = target;
  const sessiond = connectSessiond({ baseUrl, credential, defaultTimeoutMs: timeout });
  try {
    return await use(sessiond, target);
  } catch (error) {
    throw withAddress(error, target);
  } finally {
    sessiond.close();
  }
}

/** A failure that did not come from the service says where it was looked for. */
export function withAddress(
  error: unknown,
  { baseUrl, timeout }: Pick<Target, "baseUrl" | "timeout">,
): unknown {
  if (!(error instanceof ConnectError) || errorInfoOf(error) !== undefined) return error;
  if (error.code === Code.DeadlineExceeded) {
    return new CommandFailure(
      `${baseUrl} did not answer within ${timeout / 1000} s; whether the call took effect is unknown`,
      exitCodes.unavailable,
      error,
    );
  }
  if (isUntrusted(error)) {
    return new CommandFailure(
      `the certificate of ${baseUrl} is not trusted (${error.rawMessage}): ${howToTrust}`,
      exitCodes.failed,
      error,
    );
  }
  // A port that speaks TLS cancels what comes without, or resets the connection.
  if (
    error.code !== Code.Unavailable &&
    error.code !== Code.Canceled &&
    connectionFault(error) === undefined
  ) {
    return error;
  }
  return new CommandFailure(
    `${baseUrl} cannot be reached (${error.rawMessage.trim()}): is sessiond running there, with TLS as the URL says? ` +
      "--server or SESSIOND_SERVER says where it is",
    exitCodes.unavailable,
    error,
  );
}

/** What to do about a certificate that is not trusted. */
export const howToTrust = "NODE_EXTRA_CA_CERTS names a file with the certificate of who signed it";

/** Whether a call failed because the service's certificate is not trusted, or is for another name. */
export function isUntrusted(error: ConnectError): boolean {
  return /CERT|UNABLE_TO_VERIFY/.test(connectionFault(error) ?? "");
}

/** What Node.js calls the fault of a connection, where that is why a call failed. */
function connectionFault({ cause }: ConnectError): string | undefined {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined;
}
