import { createReadStream } from "node:fs";
import { hasControlCharacter } from "../../server/config/environment.ts";
import { CommandFailure, usageFailure } from "../output/failure.ts";

/** Longer text is not a secret, token or JWT. */
const maxBytes = 65_536;

/** Reads secrets from files and standard input. Arguments are never used, because other users can see them. */
export class SecretInput {
  #stdinTaken = false;

  /**
   * Reads a file, or standard input for `-`, without white space around the content. Errors call the content `what` and never
   * repeat it.
   */
  async read(file: string, what: string): Promise<string> {
    if (file === "-" && this.#stdinTaken) throw usageFailure("standard input can hold only one secret");
    this.#stdinTaken ||= file === "-";
    const place = file === "-" ? "standard input" : file;
    const text = await readAll(file).catch((error: unknown) => {
      throw new CommandFailure(`the ${what} cannot be read from ${place}`, { cause: error });
    });
    const secret = text?.trim();
    if (secret === undefined) throw new CommandFailure(`${place} holds no ${what}: it is too long`);
    if (secret === "") throw new CommandFailure(`${place} holds no ${what}: it is empty`);
    if (/[\r\n]/.test(secret)) {
      throw new CommandFailure(`${place} holds more than a ${what}: it has several lines`);
    }
    if (hasControlCharacter(secret)) {
      throw new CommandFailure(`${place} holds no ${what}: it has a control character`);
    }
    return secret;
  }
}

/** Undefined if there is more than {@link maxBytes}. */
async function readAll(file: string): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of file === "-" ? process.stdin : createReadStream(file)) {
    chunks.push(Buffer.from(chunk));
    size += chunks.at(-1)?.length ?? 0;
    if (size > maxBytes) return undefined;
  }
  return Buffer.concat(chunks).toString("utf8");
}
