import type { JsonObject } from "@bufbuild/protobuf";
import { type ServiceCredential, ServiceCredentialSchema } from "../../../gen/session/v1/project_pb.ts";
import type { Sessiond } from "../../client/client.ts";
import { CommandFailure } from "../output/failure.ts";
import { type Output, messageJson } from "../output/output.ts";
import { pairs } from "../output/table.ts";
import { SecretFile } from "./secret-file.ts";

/** What a service usually needs on its own project: the default permissions of a project's first credential. */
export const servicePermissions: readonly string[] = [
  "sessions.create",
  "sessions.read",
  "sessions.authenticate",
  "sessions.revoke",
  "sessions.revoke_all",
];

/** The option of every command that creates a secret. */
export const secretOutOption = {
  "--secret-out <file>": "write the new secret to this new file, readable only by its owner",
};

/** A credential that was just created. */
export interface NewCredential {
  readonly credential: ServiceCredential;
  /** What a command prints. Includes the secret unless it was written to a file. */
  readonly json: JsonObject;
  readonly lines: Readonly<Record<string, string | undefined>>;
}

/** Creates a credential and stores its secret. */
export type CreateCredential = (request: {
  projectId: string;
  displayName: string;
  permissions: string[];
  certificateNames?: string[];
}) => Promise<NewCredential>;

/**
 * Runs `use` with a function that creates credentials. The file for the secret is created first, so that no secret is created
 * that cannot be stored. It is removed if it stays empty.
 */
export async function withNewCredential(
  secretOut: string | undefined,
  projects: Sessiond["projects"],
  use: (create: CreateCredential) => Promise<void>,
): Promise<void> {
  const file = secretOut === undefined ? undefined : await SecretFile.create(secretOut);
  try {
    await use(async (request) => {
      const { credential, secret } = await projects.createServiceCredential(request);
      if (credential === undefined) throw new Error("the service answered without the new credential");
      await file?.write(secret).catch((error: unknown) => {
        throw secretLost(credential, error);
      });
      const { id, projectId, permissions, certificateNames } = credential;
      return {
        credential,
        json: {
          credential: messageJson(ServiceCredentialSchema, credential),
          ...(file === undefined ? { secret } : { secretFile: file.path }),
        },
        lines: {
          project: projectId,
          credential: id,
          permissions: permissions.join(", "),
          certificates: certificateNames.join(", ") || undefined,
          secret: file === undefined ? `${secret}  (shown only now)` : `written to ${file.path}`,
        },
      };
    });
  } finally {
    await file?.close();
  }
}

/**
 * Prints a new credential, with its secret unless that is in a file, and `more`. Returns when the reader of standard output has
 * it. A reader that went away is an error here, because the secret is lost.
 */
export async function printCredential(
  output: Output,
  { credential, json, lines }: NewCredential,
  more: { readonly json?: JsonObject; readonly lines?: NewCredential["lines"] } = {},
): Promise<void> {
  try {
    await output.result({ ...more.json, ...json }, pairs({ ...lines, ...more.lines }));
  } catch (error) {
    throw "secret" in json ? secretLost(credential, error) : error;
  }
}

function secretLost({ id, projectId }: ServiceCredential, cause: unknown): CommandFailure {
  const disable = `\`sessiond credential disable ${id} --project ${projectId}\``;
  return new CommandFailure(
    `credential ${id} was created, but its secret could not be written: disable it by ${disable}`,
    { cause },
  );
}
