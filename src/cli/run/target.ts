import { resolve } from "node:path";
import { isLoopback } from "../../server/config/config.ts";
import { givenVariables, hasControlCharacter } from "../../server/config/environment.ts";
import { developmentProjectId, developmentSecretFile } from "../../server/config/data-directory.ts";
import { CommandFailure, usageFailure } from "../output/failure.ts";
import type { OptionValues } from "./options.ts";
import type { SecretInput } from "./secret-input.ts";

/** Where a command takes the service's address and its credential from. */
export interface ConnectionInput {
  readonly options: ConnectionOptions;
  readonly environment: NodeJS.ProcessEnv;
  readonly secrets: SecretInput;
}

/** The service to call, and the credential. */
export interface ServiceTarget {
  readonly baseUrl: string;
  readonly credential: { readonly projectId: string; readonly secret: string };
  /** For whom the command acts. */
  readonly actingUser: string | undefined;
  /** Bound on one call. */
  readonly timeoutMs: number;
}

const defaultServer = "http://127.0.0.1:8080";

/** The options of every command that calls the service. */
export const connectionOptions = {
  "--server <url>": `the service to call (SESSIOND_SERVER; default: ${defaultServer})`,
  "--as <project>": "the calling project (SESSIOND_PROJECT)",
  "--secret-file <file>": "file with its secret, - for standard input (SESSIOND_SECRET_FILE)",
  "--acting-user <name>": "for whom the command acts; the service records it with revocations and in its log",
  "--timeout <seconds>": { help: "longest wait for an answer", default: "30" },
};

export type ConnectionOptions = OptionValues<typeof connectionOptions>;

/**
 * Finds the service and the credential: an option wins over a variable, and a variable over the default. Without project and
 * secret, and with a service on loopback, the credential is that of the development project, which `sessiond serve` has stored.
 */
export async function findTarget(input: ConnectionInput): Promise<ServiceTarget> {
  const { options, environment } = input;
  const baseUrl = parseBaseUrl(options.server ?? envValue(environment, "SESSIOND_SERVER") ?? defaultServer);
  const timeoutMs = parseTimeout(options.timeout);
  const credential = (await givenCredential(input)) ?? (await developmentCredential(baseUrl, input));
  return { baseUrl, timeoutMs, credential, actingUser: options.actingUser };
}

/** Undefined if neither project nor secret is given. */
async function givenCredential({ options, environment, secrets }: ConnectionInput) {
  const projectId = options.as ?? envValue(environment, "SESSIOND_PROJECT");
  const file = options.secretFile ?? envValue(environment, "SESSIOND_SECRET_FILE");
  const secret =
    file === undefined ? envValue(environment, "SESSIOND_SECRET") : await secrets.read(file, "secret");
  if (projectId !== undefined && secret !== undefined) return { projectId, secret };
  if (projectId !== undefined) {
    throw usageFailure(
      `no secret for project ${projectId}: set --secret-file, SESSIOND_SECRET_FILE or SESSIOND_SECRET`,
    );
  }
  if (secret !== undefined) {
    throw usageFailure("a secret without a calling project: set --as or SESSIOND_PROJECT");
  }
  return undefined;
}

/** The value of a variable, read like those of the service. */
function envValue(environment: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = givenVariables(environment)[name];
  if (value === undefined || !hasControlCharacter(value)) return value;
  throw usageFailure(`${name} must not contain a line break or another control character`);
}

const howToCall =
  "set --as and --secret-file, or SESSIOND_PROJECT and SESSIOND_SECRET_FILE or SESSIOND_SECRET";

async function developmentCredential(baseUrl: string, { environment, secrets }: ConnectionInput) {
  // The secret is never sent to another machine.
  const host = new URL(baseUrl).hostname.replace(/^\[(.*)\]$/, "$1"); // a URL has IPv6 in brackets
  if (!isLoopback(host)) throw usageFailure(`no credential for ${baseUrl}: ${howToCall}`);
  const file = developmentSecretFile(envValue(environment, "SESSIOND_DATA_DIR") ?? ".sessiond");
  try {
    return { projectId: developmentProjectId, secret: await secrets.read(file, "secret") };
  } catch (error) {
    const cause = error instanceof CommandFailure ? error.cause : undefined;
    if (!(cause instanceof Error && "code" in cause && cause.code === "ENOENT")) throw error;
    throw usageFailure(
      `no credential: ${howToCall}. To use the development project, run this in the folder of ` +
        `\`sessiond serve\`: there is no secret in ${resolve(file)}`,
    );
  }
}

function parseBaseUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    throw usageFailure(`the server must be a URL such as ${defaultServer}, without a credential in it`);
  }
  return url.href.replace(/\/+$/, "");
}

function parseTimeout(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 86_400) return Math.ceil(seconds * 1000);
  throw usageFailure("--timeout must be a number of seconds, up to 86400");
}
