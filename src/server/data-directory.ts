import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ProjectId } from "../domain/ids.ts";
import { newServiceSecret } from "../domain/token.ts";
import type { BootstrapProject } from "../domain/use-cases/projects.ts";

/** The project that the embedded default creates for development. */
export const developmentProjectId = "development" as ProjectId;

/**
 * The master key of the embedded default, made on first use. It lies beside the database it protects: enough for
 * development, and the reason why DATABASE_URL demands SESSIOND_MASTER_KEY.
 */
export async function embeddedMasterKey(directory: string): Promise<Buffer> {
  const { text } = await readOrWrite(masterKeyFile(directory), () => randomBytes(32).toString("base64"));
  return Buffer.from(text, "base64");
}

/** The same, where it has been made; undefined before. */
export async function madeMasterKey(directory: string): Promise<Buffer | undefined> {
  const text = await readIfThere(masterKeyFile(directory));
  return text === undefined ? undefined : Buffer.from(text, "base64");
}

function masterKeyFile(directory: string): string {
  return join(directory, "master.key");
}

/** The file in the data directory that keeps the development project's secret. */
export function developmentSecretFile(directory: string): string {
  return join(directory, "development-secret");
}

/** The development project of the embedded default, and the file that keeps its secret. */
export interface DevelopmentProject extends BootstrapProject {
  readonly file: string;
  /** Whether the secret was made just now, and so is to be shown, this once. */
  readonly isNew: boolean;
}

/** The development project, its secret made on first use. */
export async function developmentProject(directory: string): Promise<DevelopmentProject> {
  const file = developmentSecretFile(directory);
  const { text, isNew } = await readOrWrite(file, newServiceSecret);
  // A crash while it was written may have left it empty, and an empty secret would let anybody in.
  if (text.length < newServiceSecret().length) {
    throw new Error(`${file} holds no secret: restore it, or delete ${directory} to start anew`);
  }
  return { projectId: developmentProjectId, secret: text, file, isNew };
}

/** The text of a file that only its owner can read, written on first use. */
async function readOrWrite(file: string, make: () => string): Promise<{ text: string; isNew: boolean }> {
  const known = await readIfThere(file);
  if (known !== undefined) return { text: known, isNew: false };
  const text = make();
  await writeFile(file, `${text}\n`, { mode: 0o600, flag: "wx", flush: true });
  return { text, isNew: true };
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
