import { appendFileSync } from "node:fs";
import { join } from "node:path";

// Everything that services say while the suite runs, and every secret that they issue, goes into one folder, into files of each
// process: `SecretReport` searches it when the run is over. Without that folder, as in a bench or a script, nothing is kept.

/** The variable that names the folder. */
export const outputVariable = "TEST_OUTPUT_FOLDER";

/** What a service said. */
export interface Said {
  /** The test file. */
  readonly file: string;
  /** Such as `log` or `error answer`. */
  readonly source: string;
  readonly text: string;
}

/** A secret that was issued: itself, or where nobody here has seen it, its SHA-256 in hex. */
export type Issued = { readonly kind: string } & ({ readonly text: string } | { readonly sha256: string });

const folder = process.env[outputVariable];
const pending = { said: "", issued: "" };
let file = "";

/** Says which test file what follows comes from. */
export function beginFile(name: string): void {
  file = name;
}

/** Keeps what a service has said, in a log, an error, a metric or a trace: no secret may be found in it. */
export function keepSaid(source: string, text: string): void {
  if (text !== "") keep("said", { file, source, text } satisfies Said);
}

/** Keeps a secret that was issued. */
export function keepIssued(issued: Issued): void {
  keep("issued", issued);
}

function keep(what: keyof typeof pending, entry: Said | Issued): void {
  if (folder === undefined) return;
  pending[what] += `${JSON.stringify(entry)}\n`;
  if (pending[what].length > 65_536) flush();
}

/** Writes down what was kept. */
export function flush(): void {
  if (folder === undefined) return;
  for (const what of ["said", "issued"] as const) {
    if (pending[what] !== "") appendFileSync(join(folder, `${what}-${process.pid}.jsonl`), pending[what]);
    pending[what] = "";
  }
}
process.on("exit", flush);
