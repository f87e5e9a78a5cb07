import { appendFileSync } from "node:fs";
import { join } from "node:path";

// The output of all services of a test run, and the secrets that they issued. Each process appends to its own files in one folder;
// `SecretReport` searches them after the run. Without the folder (benchmarks, scripts) nothing is recorded.

export const outputVariable = "TEST_OUTPUT_FOLDER";

export interface Output {
  readonly file: string;
  /** For example `log` or `error answer`. */
  readonly source: string;
  readonly text: string;
}

/** A secret that was issued: its text, or its SHA-256 in hex if the text is unknown. */
export type Secret = { readonly kind: string } & ({ readonly text: string } | { readonly sha256: string });

const folder = process.env[outputVariable];
const pending = { output: "", secrets: "" };
let file = "";

export function beginFile(name: string): void {
  file = name;
}

/** Records output of a service (a log, an error, a metric, a trace). The run fails if a secret is found in it. */
export function recordOutput(source: string, text: string): void {
  if (text !== "") append("output", { file, source, text } satisfies Output);
}

export function recordSecret(issued: Secret): void {
  append("secrets", issued);
}

function append(what: keyof typeof pending, entry: Output | Secret): void {
  if (folder === undefined) return;
  pending[what] += `${JSON.stringify(entry)}\n`;
  if (pending[what].length > 65_536) flush();
}

export function flush(): void {
  if (folder === undefined) return;
  for (const what of ["output", "secrets"] as const) {
    if (pending[what] !== "") appendFileSync(join(folder, `${what}-${process.pid}.jsonl`), pending[what]);
    pending[what] = "";
  }
}
process.on("exit", flush);
