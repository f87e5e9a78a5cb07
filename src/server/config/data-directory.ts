import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ProjectId } from "../../domain/ids.ts";
import { newServiceSecret } from "../../domain/token.ts";
import type { BootstrapProject } from "../../domain/use-cases/projects.ts";
import { masterKeyBytes } from "./variable-forms.ts";

/** The project that the embedded default creates for development. */
export const developmentProjectId = "development" as ProjectId;

/**
 * The master key of the embedded default, created on first use. It lies beside the database that it protects, which is enough
 * for development only: with DATABASE_URL, SESSIOND_MASTER_KEY is required.
 */
export async function embeddedMasterKey(directory: string): Promise<Buffer> {
  const { text } = await readOrWrite(masterKeyFile(directory), () => randomBytes(32).toString("base64"));
  return masterKeyIn(directory, text);
}

export async function existingMasterKey(directory: string): Promise<Buffer | undefined> {
  const text = await readIfExists(masterKeyFile(directory));
  return text === undefined ? undefined : masterKeyIn(directory, text);
}

/** A damaged file must not become another key, with which the signing keys cannot be read. */
function masterKeyIn(directory: string, text: string): Buffer {
  const bytes = masterKeyBytes(text);
  if (bytes !== undefined) return bytes;
  throw new Error(`${masterKeyFile(directory)} does not hold 32 bytes in base64: restore it`);
}

function masterKeyFile(directory: string): string {
  return join(directory, "master.key");
}

export function developmentSecretFile(directory: string): string {
  return join(directory, "development-secret");
}

export interface DevelopmentProject extends BootstrapProject {
  /** Holds the secret. */
  readonly file: string;
  /** Whether this call created the secret; it is printed only then. */
  readonly isNew: boolean;
}

/** The development project of the embedded default. Its secret is created on first use. */
export async function developmentProject(directory: string): Promise<DevelopmentProject> {
  const file = developmentSecretFile(directory);
  const { text, isNew } = await readOrWrite(file, newServiceSecret);
  // A crash during the write can leave the file empty, and everyone knows an empty secret.
  if (text.length < newServiceSecret().length) {
    throw new Error(`${file} holds no secret: restore it, or delete ${directory} to start from scratch`);
  }
  return { projectId: developmentProjectId, secret: text, file, isNew };
}

/** Reads a file; creates it on first use, readable by its owner only. */
async function readOrWrite(file: string, make: () => string): Promise<{ text: string; isNew: boolean }> {
  const existing = await readIfExists(file);
  if (existing !== undefined) return { text: existing, isNew: false };
  const text = make();
  await writeFile(file, `${text}\n`, { mode: 0o600, flag: "wx", flush: true });
  return { text, isNew: true };
}

async function readIfExists(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
