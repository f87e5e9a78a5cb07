import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { CommandFailure, usageFailure } from "../failure.ts";

/** More is no secret, token or JWT. */
const maxBytes = 65_536;

/** Reads secrets from where no other user sees them: files and standard input, never arguments. */
export class SecretInput {
  readonly #stdin: Readable;
  #stdinTaken = false;

  constructor(stdin: Readable) {
    this.#stdin = stdin;
  }

  /**
   * What the file holds, or standard input for `-`, without the line's end. `what` names it in errors, which never repeat it.
   */
  async read(file: string, what: string): Promise<string> {
    if (file === "-" && this.#stdinTaken) throw usageFailure("standard input can hold only one secret");
    this.#stdinTaken ||= file === "-";
    const place = file === "-" ? "standard input" : file;
    const text = await readAll(file === "-" ? this.#stdin : createReadStream(file), what, place);
    const secret = text.replace(/\r?\n$/, "");
    if (secret.trim() === "") throw new CommandFailure(`${place} holds no ${what}: it is empty`);
    if (/[\r\n]/.test(secret)) {
      throw new CommandFailure(`${place} holds more than a ${what}: it has several lines`);
    }
    return secret;
  }
}

async function readAll(stream: Readable, what: string, place: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream) {
      chunks.push(Buffer.from(chunk));
      size += chunks.at(-1)?.length ?? 0;
      if (size > maxBytes) break;
    }
  } catch (error) {
    throw new CommandFailure(`the ${what} cannot be read from ${place}`, undefined, error);
  }
  if (size > maxBytes) throw new CommandFailure(`${place} holds no ${what}: it is too long`);
  return Buffer.concat(chunks).toString("utf8");
}
