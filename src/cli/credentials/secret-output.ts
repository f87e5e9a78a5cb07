import { type FileHandle, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { CommandFailure } from "../failure.ts";

/** A file that is there for a secret to come, so that no secret is made that cannot be written down. */
export class SecretFile {
  readonly path: string;
  readonly #file: FileHandle;
  #written = false;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /** Makes the file, for its owner alone. Throws where there is one of this name already: it may hold another secret. */
  static async create(path: string): Promise<SecretFile> {
    try {
      return new SecretFile(path, await open(path, "wx", 0o600));
    } catch (error) {
      throw new CommandFailure(
        `a secret cannot be written to ${path}, which must be a new file`,
        undefined,
        error,
      );
    }
  }

  /** Writes the secret; when it returns, the file and its name are on the disk. */
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

  /** Closes the file, and removes it where no secret came. */
  async close(): Promise<void> {
    await this.#file.close();
    if (!this.#written) await rm(this.path, { force: true });
  }
}
