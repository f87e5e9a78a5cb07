import type { JsonObject } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { type ServiceCredential, ServiceCredentialSchema } from "../../../gen/session/v1/project_pb.ts";
import type { Sessiond } from "../../client/client.ts";
import { CommandFailure } from "../failure.ts";
import { messageJson } from "../output/message-json.ts";
import type { Output } from "../output/output.ts";
import { SecretFile } from "./secret-output.ts";
import { pairs } from "../output/table.ts";

/** The option of every command that makes a secret. */
export interface SecretOutOptions {
  readonly secretOut?: string;
}

/** Adds it. */
export function withSecretOut(command: Command): Command {
  return command.option(
    "--secret-out <file>",
    "write the new secret to this new file, readable to its owner alone",
  );
}

/** A credential that was just made. */
export interface NewCredential {
  readonly credential: ServiceCredential;
  /** What a command prints of it: the secret too, this once, unless it lies in a file. */
  readonly json: JsonObject;
  readonly lines: readonly (readonly [name: string, value: string])[];
}

/** Makes credentials whose secret will be written down. */
export type MakeCredential = (
  sessiond: Sessiond,
  request: {
    projectId: string;
    displayName: string;
    permissions: string[];
    certificateNames?: string[];
  },
) => Promise<NewCredential>;

/** Runs `use` with the file that is to take the secret there already, if it is to go to a file; a file that stays empty is removed. */
export async function makingCredential<T>(
  { secretOut }: SecretOutOptions,
  use: (make: MakeCredential) => Promise<T>,
): Promise<T> {
  const file = secretOut === undefined ? undefined : await SecretFile.create(secretOut);
  try {
    return await use(async (sessiond, request) => {
      const { credential, secret } = await sessiond.projects.createServiceCredential(request);
      if (credential === undefined) throw new Error("the service answered without the new credential");
      await file?.write(secret).catch((error: unknown) => {
        throw lost(credential, error);
      });
      return {
        credential,
        json: {
          credential: messageJson(ServiceCredentialSchema, credential),
          ...(file === undefined ? { secret } : { secretFile: file.path }),
        },
        lines: [
          ["project", credential.projectId],
          ["credential", credential.id],
          ["permissions", credential.permissions.join(", ")],
          ...certificateLines(credential),
          file === undefined
            ? ["secret", `${secret}  (shown only now)`]
            : ["secret", `written to ${file.path}`],
        ],
      };
    });
  } finally {
    await file?.close();
  }
}

/**
 * Prints a new credential, with its secret where that is in no file, and whatever else came of the command. When it returns,
 * who reads standard output has it; a reader that went away is no quiet end here.
 */
export async function printCredential(
  output: Output,
  { credential, json, lines }: NewCredential,
  more: { readonly json?: JsonObject; readonly lines?: NewCredential["lines"] } = {},
): Promise<void> {
  try {
    await output.result({ ...more.json, ...json }, pairs([...lines, ...(more.lines ?? [])]));
  } catch (error) {
    throw "secret" in json ? lost(credential, error) : error;
  }
}

function certificateLines({ certificateNames }: ServiceCredential): NewCredential["lines"] {
  return certificateNames.length === 0 ? [] : [["certificates", certificateNames.join(", ")]];
}

function lost({ id, projectId }: ServiceCredential, cause: unknown): CommandFailure {
  const message =
    `credential ${id} was made, but its secret could not be written down: ` +
    `\`sessiond credential disable ${id} --project ${projectId}\` ends it`;
  return new CommandFailure(message, undefined, cause);
}
