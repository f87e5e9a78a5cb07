/** Which escapes stay as written: `%2F` in a capture of several segments, where `/` already means something. */
export type Keep = "nothing" | "slash";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Decodes percent-escapes once and reads the bytes as UTF-8. Gives `undefined` for a malformed escape, invalid UTF-8 or
 * NUL (legal in a URL and in protobuf, but no database text holds it).
 *
 * Node hands over the bytes of a request target as Latin-1, so a raw character below U+0100 is a byte.
 */
export function percentDecode(text: string, keep: Keep = "nothing"): string | undefined {
  if (!/[%\0\u0080-\uffff]/.test(text)) return text;
  const bytes = new Uint8Array(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const escape = code === percent ? text.slice(i + 1, i + 3) : undefined;
    if (escape === undefined) {
      if (code > 0xff) return undefined;
      bytes[length++] = code;
    } else if (!/^[0-9A-Fa-f]{2}$/.test(escape)) {
      return undefined;
    } else if (keep === "slash" && escape.toUpperCase() === "2F") {
      bytes[length++] = percent;
    } else {
      bytes[length++] = Number.parseInt(escape, 16);
      i += 2;
    }
  }
  const decoded = bytes.subarray(0, length);
  return decoded.includes(0) ? undefined : decodeUtf8(decoded);
}

const percent = 0x25;

/** Reads bytes as UTF-8; `undefined` when they are not. A byte order mark is kept. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
