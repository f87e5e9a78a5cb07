/**
 * Decodes percent-escapes once and reads the bytes as UTF-8. With keep = "slash", `%2F` stays as written: in a capture of
 * several segments `/` is a separator. Returns undefined for a malformed escape, invalid UTF-8 or NUL, which Postgres
 * text cannot hold. Node gives the bytes of a request target as Latin-1, so a raw character below U+0100 is a byte.
 */
export function percentDecode(text: string, keep: "nothing" | "slash" = "nothing"): string | undefined {
  if (!/[%\0\u0080-\uffff]/.test(text)) return text;
  if (/%00|[\0\u0100-\uffff]/.test(text)) return undefined;
  const escaped = text.replace(/[\u0080-\u00ff]/g, (byte) => `%${byte.charCodeAt(0).toString(16)}`);
  try {
    return decodeURIComponent(keep === "slash" ? escaped.replace(/%(?=2f)/gi, "%25") : escaped);
  } catch {
    return undefined;
  }
}
