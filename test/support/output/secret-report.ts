import { createReadStream, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Output, type Secret, outputVariable } from "./output.ts";
import { SecretSearch } from "./secret-search.ts";

export interface Leak {
  readonly file: string;
  readonly source: string;
  readonly kept: string;
  readonly line: number;
  readonly kinds: readonly string[];
}

/**
 * After a run, searches the output of all services for every issued secret. Reports the places without the secrets, and keeps the
 * folder if there are any.
 */
export class SecretReport {
  readonly #folder = mkdtempSync(join(tmpdir(), "sessiond-output-"));
  #isNeeded = false;

  constructor() {
    process.on("exit", () => this.#isNeeded || rmSync(this.#folder, { recursive: true, force: true }));
  }

  get environment(): Record<string, string> {
    return { [outputVariable]: this.#folder };
  }

  /** Prints the places of secrets; resolves with their number. Each counts as a failure of the run. */
  async tell(): Promise<number> {
    const leaks = await findLeaks(this.#folder);
    if (leaks.length === 0) return 0;
    this.#isNeeded = true;
    process.exitCode = 1;
    const lines = leaks.map(
      ({ file, source, kept, line, kinds }) =>
        `  ${kinds.join(", ")} in: ${source}, ${file} (${kept}:${line})\n`,
    );
    const more = lines.length > maxShown ? `  ... and ${lines.length - maxShown} more\n` : "";
    const shown = lines.slice(0, maxShown).join("");
    process.stderr.write(`Secrets were found in the output of services:\n${shown}${more}\n`);
    return leaks.length;
  }
}

const maxShown = 50;

export async function findLeaks(folder: string): Promise<readonly Leak[]> {
  const files = readdirSync(folder);
  const issued: Secret[] = [];
  for (const name of files.filter((name) => name.startsWith("secrets-"))) {
    for await (const { entry } of entriesIn<Secret>(join(folder, name))) issued.push(entry);
  }
  const search = new SecretSearch(issued);
  const leaks: Leak[] = [];
  for (const name of files.filter((name) => name.startsWith("output-"))) {
    const kept = join(folder, name);
    for await (const { entry, line } of entriesIn<Output>(kept)) {
      const kinds = search.kindsIn(entry.text);
      if (kinds.length > 0) leaks.push({ file: entry.file, source: entry.source, kept, line, kinds });
    }
  }
  return leaks;
}

async function* entriesIn<T>(file: string): AsyncGenerator<{ entry: T; line: number }> {
  let line = 0;
  for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    line++;
    // A killed process may have left an incomplete line.
    if (text.endsWith("}")) yield { entry: JSON.parse(text), line };
  }
}
