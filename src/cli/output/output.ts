import { type DescMessage, type JsonValue, type MessageShape, toJson } from "@bufbuild/protobuf";
import { describeError, exitCodes, isClosedPipe } from "./failure.ts";
import { printable } from "./table.ts";

/** Writes results to standard output and everything else to standard error, as text or as JSON. */
export class Output {
  readonly #json: boolean;

  constructor(json: boolean) {
    this.#json = json;
  }

  /** Writes the result: one JSON document, or text. Resolves when it is written; rejects if the reader went away. */
  async result(value: JsonValue, text: string): Promise<void> {
    await this.item(text);
    await this.document(value);
  }

  /** Writes a message of the API as the result. */
  async message<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>, text: string) {
    await this.result(messageJson(desc, message), text);
  }

  /** Writes one line of a stream of results: JSON, or text. */
  async line(value: JsonValue, text: string): Promise<void> {
    await write(`${this.#json ? JSON.stringify(value) : text}\n`);
  }

  /** Writes a part of a result as text. As JSON, {@link document} writes the whole. */
  async item(text: string): Promise<void> {
    if (!this.#json) await write(`${text}\n`);
  }

  /** Writes the JSON document of a result whose parts were written by {@link item}. */
  async document(value: JsonValue): Promise<void> {
    if (this.#json) await write(`${JSON.stringify(value, undefined, 2)}\n`);
  }

  /** Reports progress. */
  note(text: string): void {
    process.stderr.write(`${this.#json ? JSON.stringify({ note: text }) : printable(text)}\n`);
  }

  /** Reports an error and sets the exit status. A reader that went away only sets the status. */
  failure(error: unknown): void {
    const { exitCode, ...description } = describeError(error);
    process.exitCode = exitCode;
    if (exitCode === exitCodes.closedPipe) return;
    const { reason, message, metadata } = description;
    const details = Object.entries(metadata).map(([name, value]) => `${name}: ${value}`);
    const bracketed = reason === "" ? "" : ` (${[reason, ...details].join("; ")})`;
    const lines = `sessiond: ${message}${bracketed}`.split("\n");
    const text = this.#json ? JSON.stringify({ error: description }) : lines.map(printable).join("\n");
    process.stderr.write(`${text}\n`);
  }
}

/** A message in the proto JSON mapping. Empty fields are included, so that every answer has the same shape. */
export function messageJson<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): JsonValue {
  return toJson(desc, message, { alwaysEmitImplicit: true });
}

async function write(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

/**
 * Keeps the process alive if standard output or error breaks, because a service would take its calls with it. An awaited write
 * reports its failure itself; any other, such as that of `--help`, sets the exit status.
 */
export function surviveBrokenOutput(): void {
  process.stdout.on("error", (error) => {
    process.exitCode ??= isClosedPipe(error) ? exitCodes.closedPipe : exitCodes.failed;
  });
  process.stderr.on("error", () => undefined);
}
