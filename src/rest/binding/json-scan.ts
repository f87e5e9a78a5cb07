/** What {@link scanJson} found wrong. */
export type ScanFault =
  | { readonly kind: "too_deep" }
  | { readonly kind: "duplicate_key"; readonly key: string };

/**
 * Looks through JSON text, before or after it is parsed, for what `JSON.parse` cannot tell: a key twice in one object
 * (it keeps the last, silently) and nesting deeper than `maxDepth` (which would exhaust the stack of recursive
 * readers). Assumes nothing about the text; on text that is no JSON the answer means nothing.
 */
export function scanJson(text: string, maxDepth: number): ScanFault | undefined {
  // One entry for each open object or array; arrays have no keys.
  const open: (Set<string> | undefined)[] = [];
  let atKey = false;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x7b: // {
      case 0x5b: // [
        atKey = text.charCodeAt(i) === 0x7b;
        open.push(atKey ? new Set() : undefined);
        if (open.length > maxDepth) {
          return { kind: "too_deep" };
        }
        break;
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
        atKey = false;
        break;
      case 0x2c: // ,
        atKey = open.at(-1) !== undefined;
        break;
      case 0x22: {
        const end = endOfString(text, i);
        if (atKey) {
          const key = keyOf(text.slice(i, end + 1));
          if (open.at(-1)?.has(key) === true) {
            return { kind: "duplicate_key", key };
          }
          open.at(-1)?.add(key);
          atKey = false;
        }
        i = end;
        break;
      }
    }
  }
  return undefined;
}

/** Index of the quote that closes the string opened at `start`, or of the end of the text. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text.charCodeAt(i) !== 0x22) i += text.charCodeAt(i) === 0x5c ? 2 : 1;
  return i;
}

/** Two spellings of a key, plain and with `\u` escapes, are one key. */
function keyOf(literal: string): string {
  if (!literal.includes("\\")) return literal.slice(1, -1);
  try {
    return String(JSON.parse(literal));
  } catch {
    return literal;
  }
}
