import { open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import {
  Permission,
  PermissionSchema,
  type ServiceCredential,
  ServiceCredentialSchema,
} from "../../../gen/session/v1/project_pb.ts";
import { CommandFailure, usageFailure } from "../output/failure.ts";
import { messageJson } from "../output/output.ts";
import { pairs } from "../output/table.ts";
import type { ServiceRun } from "../run/command.ts";
import { parseList } from "../run/options.ts";

/** All permissions by their short names, such as `sessions.revoke_all`. */
const permissions: ReadonlyMap<string, Permission> = new Map(
  Object.values(Permission)
    .filter((value) => value !== Permission.UNSPECIFIED)
    .map((value) => [permissionWord(value), value]),
);

export const permissionWords = [...permissions.keys()];

/** What a service usually needs on its own project: the default permissions of a project's first credential. */
export const servicePermissions = permissionWords.filter((word) => word !== "projects.admin");

/** Reads the short names of permissions, separated by commas. */
export function readPermissions(text: string): Permission[] {
  return parseList(text).map((word) => {
    const value = permissions.get(word);
    if (value !== undefined) return value;
    throw usageFailure(`${word} is not a permission; the permissions are ${permissionWords.join(", ")}`);
  });
}

/** The short name of a permission; its number if this version does not know it. */
export function permissionWord(value: Permission): string {
  const name = PermissionSchema.value[value]?.localName;
  return name === undefined ? String(value) : name.toLowerCase().replace("_", ".");
}

/** The option of every command that creates a secret. */
export const secretOutOption = {
  "--secret-out <file>": "write the new secret to this new file, readable only by its owner",
};

/** Creates a credential, stores its secret and prints it, with `more`. */
export type CreateCredential = (
  request: { projectId: string; displayName: string; permissions: Permission[]; certificateNames?: string[] },
  more?: { readonly json?: JsonObject; readonly lines?: Readonly<Record<string, string>> },
) => Promise<ServiceCredential>;

/**
 * Runs `use` with a function that creates credentials. The file for the secret is created first, so that no secret is created
 * that cannot be stored. It is removed if it stays empty.
 */
export async function withNewCredential(
  { output, projects }: Pick<ServiceRun<unknown>, "output" | "projects">,
  secretOut: string | undefined,
  use: (create: CreateCredential) => Promise<void>,
): Promise<void> {
  const file = secretOut === undefined ? undefined : await createSecretFile(secretOut);
  try {
    await use(async (request, more = {}) => {
      const { credential, secret } = await projects.createServiceCredential(request);
      if (credential === undefined) throw new Error("the service answered without the new credential");
      const { id, projectId, certificateNames } = credential;
      const json = {
        ...more.json,
        credential: messageJson(ServiceCredentialSchema, credential),
        ...(file === undefined ? { secret } : { secretFile: secretOut ?? "" }),
      };
      const text = pairs({
        project: projectId,
        credential: id,
        permissions: credential.permissions.map(permissionWord).join(", "),
        certificates: certificateNames.join(", ") || undefined,
        secret: file === undefined ? `${secret}  (shown only now)` : `written to ${secretOut}`,
        ...more.lines,
      });
      // If the reader of standard output went away, a printed secret is lost.
      await (file?.write(secret) ?? output.result(json, text)).catch((cause: unknown) => {
        throw secretLost(credential, cause);
      });
      if (file !== undefined) await output.result(json, text);
      return credential;
    });
  } finally {
    await file?.close();
  }
}

function secretLost({ id, projectId }: ServiceCredential, cause: unknown): CommandFailure {
  const disable = `\`sessiond credential disable ${id} --project ${projectId}\``;
  return new CommandFailure(
    `credential ${id} was created, but its secret could not be written: disable it by ${disable}`,
    { cause },
  );
}

/** Creates a file of mode 0600 for a secret. Fails if the file exists, because it may hold another secret. */
async function createSecretFile(path: string) {
  const file = await open(path, "wx", 0o600).catch((cause: unknown) => {
    throw new CommandFailure(`a secret cannot be written to ${path}, which must be a new file`, { cause });
  });
  let written = false;
  return {
    /** When it returns, the file and its directory entry are on disk. */
    async write(secret: string): Promise<void> {
      await file.writeFile(`${secret}\n`);
      await file.sync();
      const folder = await open(dirname(path), "r");
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
      written = true;
    },
    /** Removes the file if no secret was written. */
    async close(): Promise<void> {
      await file.close();
      if (!written) await rm(path, { force: true });
    },
  };
}
