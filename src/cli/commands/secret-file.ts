import { type FileHandle, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { CommandFailure } from "../output/failure.ts";

/** A new file that will hold a secret. */
export class SecretFile {
  readonly path: string;
  readonly #file: FileHandle;
  #written = false;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /** Creates the file with mode 0600. Throws if it exists, because it may hold another secret. */
  static async create(path: string): Promise<SecretFile> {
    const file = await open(path, "wx", 0o600).catch((error: unknown) => {
      throw new CommandFailure(`a secret cannot be written to ${path}, which must be a new file`, {
        cause: error,
      });
    });
    return new SecretFile(path, file);
  }

  /** Writes the secret. When it returns, the file and its directory entry are on disk. */
  async write(secret: string): Promise<void> {
    await this.#file.writeFile(`${secret}\n`);
    await this.#file.sync();
    const folder = await open(dirname(this.path), "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
    this.#written = true;
  }

  /** Closes the file, and removes it if no secret was written. */
  async close(): Promise<void> {
    await this.#file.close();
    if (!this.#written) await rm(this.path, { force: true });
  }
}
