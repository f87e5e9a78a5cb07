import type { JsonObject } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { type ServiceCredential, ServiceCredentialSchema } from "../../gen/session/v1/project_pb.ts";
import type { Sessiond } from "../client/client.ts";
import { messageJson } from "./message-json.ts";
import { SecretFile } from "./secret-output.ts";

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
  request: { projectId: string; displayName: string; permissions: string[] },
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
      await file?.write(secret);
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
