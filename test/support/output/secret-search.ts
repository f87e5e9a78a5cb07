import { hash } from "node:crypto";
import type { Secret } from "./output.ts";

/** Secrets that have a recognisable form. */
export const secretForms: readonly { readonly kind: string; readonly form: RegExp }[] = [
  { kind: "a session token", form: /sst_[\w-]{51}/g },
  { kind: "a service secret", form: /ssk_[\w-]{43}/g },
  { kind: "a JWT", form: /eyJ[\w-]{10,}\.eyJ[\w-]{10,}(?:\.[\w-]+)?/g },
  { kind: "a private key", form: /-----BEGIN [A-Z ]*PRIVATE KEY-----|"d" ?: ?"[\w-]{20,}"/g },
];

/** Number of characters, from the middle of a secret, that identify it. Secrets may share a start. */
const chunkLength = 16;

/** Minimum length of a secret: shorter texts occur by chance. */
const shortest = 8;

/** Finds secrets in text: verbatim, embedded, truncated, URL-escaped, in base64 or in hex. */
export class SecretSearch {
  /** Kinds by the middle of the secret. */
  readonly #chunks = new Map<string, string>();
  readonly #lengths = new Set<number>();
  /** Kinds by SHA-256, of secrets whose text is unknown. */
  readonly #hashes = new Map<string, string>();
  /** Results by run of characters: most runs repeat. */
  readonly #known = new Map<string, string | undefined>();

  constructor(issued: Iterable<Secret>) {
    for (const secret of issued) {
      if ("sha256" in secret) this.#hashes.set(secret.sha256, secret.kind);
      else this.#add(secret.kind, secret.text);
    }
  }

  kindsIn(text: string): readonly string[] {
    const byForm = secretForms.filter(({ form }) => text.search(form) >= 0).map(({ kind }) => kind);
    const runs = text.match(/[\w+/=.~%:!$&'*-]{8,}/g) ?? [];
    return [...new Set([...byForm, ...runs.flatMap((run) => this.#kindOf(run) ?? [])])];
  }

  #add(kind: string, text: string): void {
    // The header of a JWT is not secret. Payload and signature are, each on its own.
    const [, payload, signature] = /^eyJ[\w-]+\.(eyJ[\w-]+)\.([\w-]+)$/.exec(text) ?? [];
    const secrets = payload === undefined || signature === undefined ? [text] : [payload, signature];
    for (const secret of secrets.filter(({ length }) => length >= shortest)) {
      const chunk = middleOf(secret);
      this.#chunks.set(chunk, kind);
      this.#lengths.add(chunk.length);
    }
  }

  #kindOf(run: string): string | undefined {
    if (this.#known.has(run)) return this.#known.get(run);
    const found = [run, ...decoded(run)].map((text) => this.#match(text)).find((kind) => kind !== undefined);
    this.#known.set(run, found);
    return found;
  }

  #match(text: string): string | undefined {
    const byForm = secretForms.find(({ form }) => text.search(form) >= 0)?.kind;
    if (byForm !== undefined) return byForm;
    for (const length of this.#lengths) {
      for (let i = 0; i + length <= text.length; i++) {
        const kind = this.#chunks.get(text.slice(i, i + length));
        if (kind !== undefined) return kind;
      }
    }
    const words = [text, ...text.split(/[\s:=&,;!?/]/), text.slice(text.indexOf(":") + 1)];
    const hashes = words
      .filter(({ length }) => length >= shortest)
      .map((word) => hash("sha256", word, "hex"));
    return hashes.map((sha256) => this.#hashes.get(sha256)).find((kind) => kind !== undefined);
  }
}

function middleOf(secret: string): string {
  const start = Math.max(0, Math.floor((secret.length - chunkLength) / 2));
  return secret.slice(start, start + chunkLength);
}

/** Decodings of a run of characters. Decodes base64 from each of four offsets, because other text may precede it. */
function decoded(run: string): readonly string[] {
  const texts: string[] = [];
  if (/%[0-9a-f]{2}/i.test(run)) texts.push(run.replaceAll(/%([0-9a-f]{2})/gi, (_, code) => fromHex(code)));
  for (const piece of run.split(/[^\w+/-]/).filter(({ length }) => length >= 11)) {
    if (/^[0-9a-f]{16,}$/i.test(piece)) texts.push(fromHex(piece));
    for (let place = 0; place < 4; place++) {
      texts.push(Buffer.from(piece.slice(place), "base64").toString("latin1"));
    }
  }
  return texts;
}

function fromHex(text: string): string {
  return Buffer.from(text, "hex").toString("latin1");
}
