import type { JsonValue } from "@bufbuild/protobuf";
import { type ToldFailure, exitCodes } from "../failure.ts";
import { printable } from "./printable.ts";

/** What a command says: its result on standard output, everything else on standard error; for people, or as JSON. */
export class Output {
  readonly #json: boolean;

  constructor(json: boolean) {
    this.#json = json;
  }

  /** The result, as one JSON document or in words. Resolves when it is written; rejects when nobody reads any more. */
  async result(value: JsonValue, text: string): Promise<void> {
    await this.item(text);
    await this.document(value);
  }

  /** One of many results that come one by one: a line of JSON, or of words. */
  async line(value: JsonValue, text: string): Promise<void> {
    await write(`${this.#json ? JSON.stringify(value) : text}\n`);
  }

  /** A part of a result, in words: as JSON it is told as a whole, by {@link document}. */
  async item(text: string): Promise<void> {
    if (!this.#json) await write(`${text}\n`);
  }

  /** The whole of what {@link item} told, as one JSON document. */
  async document(value: JsonValue): Promise<void> {
    if (this.#json) await write(`${JSON.stringify(value, undefined, 2)}\n`);
  }

  /** How it goes. */
  note(text: string): void {
    process.stderr.write(`${this.#json ? JSON.stringify({ note: text }) : printable(text)}\n`);
  }

  /** Why it failed, and with which status the process is to end. A reader that went away is not told of. */
  failure(failure: ToldFailure): void {
    const { code, reason, message, metadata, exitCode } = failure;
    process.exitCode = exitCode;
    if (exitCode === exitCodes.closedPipe) return;
    const text = this.#json
      ? JSON.stringify({ error: { code, reason, message, metadata } })
      : inWords(failure);
    process.stderr.write(`${text}\n`);
  }
}

function inWords({ reason, message, metadata }: ToldFailure): string {
  const details = Object.entries(metadata).map(([name, value]) => `${name}: ${value}`);
  const bracketed = reason === "" ? "" : ` (${[reason, ...details].join("; ")})`;
  const lines = `sessiond: ${message}${bracketed}`.split("\n");
  return lines.map(printable).join("\n");
}

async function write(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
