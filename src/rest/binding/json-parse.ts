import { badRequest, shownName } from "../errors/failure.ts";
import { WrittenNumber } from "./numbers.ts";
import type { ExactJson } from "./scalars.ts";

/** Recursion limit of protobuf-es. */
const maxDepth = 100;

/**
 * Finds numbers that a double may change: integers of 16 digits, fractions of 17, or an exponent. False positives in text only
 * cost time.
 */
const mayChange = /\d{16}|\d[\d.]{17}|[\s:,[]-?\d[\d.]*[eE]/;

/**
 * Parses a body. Throws a 400 error for invalid UTF-8, malformed JSON, duplicate keys and deep nesting. It does not quote the
 * text, which may contain a token.
 */
export function parseJsonBody(bytes: Uint8Array): ExactJson {
  const text = decodeUtf8(bytes);
  const json = parse(text);
  checkStructure(text);
  // A reviver is slow, and recursive: it runs only if needed and after the depth is known.
  return mayChange.test(text) ? JSON.parse(text, reviveNumber) : json;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badRequest("body", undefined, "not valid UTF-8");
  }
}

function parse(text: string): ExactJson {
  try {
    return JSON.parse(text);
  } catch (error) {
    const position = error instanceof Error ? /at position (\d+)/.exec(error.message)?.[1] : undefined;
    const where = position === undefined ? "" : ` from character ${position} on`;
    throw badRequest("body", undefined, `not JSON${where}`);
  }
}

function reviveNumber(_key: string, value: ExactJson, context?: { source?: string }): ExactJson {
  const source = context?.source;
  if (typeof value !== "number" || source === undefined) return value;
  // 1e-999 is 0, and 1.00000000000000000001 is 1.
  return Number.isSafeInteger(value) && /^-?\d+$/.test(source) ? value : new WrittenNumber(source);
}

/** Refuses duplicate keys, of which `JSON.parse` keeps the last one, and deep nesting, on which recursive readers overflow. */
function checkStructure(text: string): void {
  // The keys of each open object; undefined for an open array.
  const open: (Set<string> | undefined)[] = [];
  let atKey = false;
  for (let i = 0; i < text.length; i++) {
    switch (text.charAt(i)) {
      case "{":
      case "[":
        atKey = text[i] === "{";
        if (open.push(atKey ? new Set() : undefined) > maxDepth) {
          throw badRequest("body", undefined, `JSON nested more than ${maxDepth} levels deep`);
        }
        break;
      case "}":
      case "]":
        open.pop();
        break;
      case ",":
        atKey = open.at(-1) !== undefined;
        break;
      case '"': {
        const start = i;
        for (i++; text[i] !== '"'; i++) if (text[i] === "\\") i++;
        if (atKey) addKey(open.at(-1), text.slice(start, i + 1));
        atKey = false;
        break;
      }
    }
  }
}

function addKey(keys: Set<string> | undefined, literal: string): void {
  // A key with `\u` escapes equals the same key in plain characters.
  const key = literal.includes("\\") ? String(JSON.parse(literal)) : literal.slice(1, -1);
  if (keys?.has(key) === true) {
    throw badRequest("body", shownName(key), "the key is given twice in one object");
  }
  keys?.add(key);
}
