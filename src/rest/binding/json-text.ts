import { badRequest } from "../errors/failure.ts";
import { scanJson } from "./json-scan.ts";
import { decodeUtf8 } from "./percent.ts";
import { shownName } from "../errors/shown-name.ts";

/** JSON in which an integer too big for a double is a bigint, so that a 64-bit field can still have it exactly. */
export type ExactJson =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly ExactJson[]
  | { readonly [key: string]: ExactJson };

/** As deep as protobuf-es reads messages. */
const maxDepth = 100;

/**
 * Parses the bytes of a body. Throws a 400 refusal for invalid UTF-8, text that is no JSON, duplicate keys and deep
 * nesting. `JSON.parse` quotes the text in its message; ours does not, for there may be a token in it.
 */
export function parseJsonBody(bytes: Uint8Array): ExactJson {
  const decoded = decodeUtf8(bytes);
  if (decoded === undefined) throw badRequest("body", undefined, "not valid UTF-8");
  const text = decoded.startsWith("\ufeff") ? decoded.slice(1) : decoded;
  const fault = scanJson(text, maxDepth);
  if (fault?.kind === "too_deep") {
    throw badRequest("body", undefined, `JSON nested more than ${maxDepth} levels deep`);
  }
  const json = parse(text);
  if (fault?.kind === "duplicate_key") {
    throw badRequest("body", shownName(fault.key), "the key is given twice in one object");
  }
  return json;
}

function parse(text: string): ExactJson {
  try {
    // The reviver is slow and only needed for a long run of digits.
    return /\d{16}/.test(text) ? JSON.parse(text, reviveBigInteger) : JSON.parse(text);
  } catch (error) {
    const position = error instanceof Error ? /at position (\d+)/.exec(error.message)?.[1] : undefined;
    throw badRequest(
      "body",
      undefined,
      position === undefined ? "not JSON" : `not JSON from character ${position} on`,
    );
  }
}

function reviveBigInteger(_key: string, value: ExactJson, context?: { source?: string }): ExactJson {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && /^-?\d{1,40}$/.test(source) ? BigInt(source) : value;
}
