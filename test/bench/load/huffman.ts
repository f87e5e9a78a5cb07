/**
 * The code of RFC 7541, appendix B, as far as it concerns printable ASCII and NUL; no other character may be in a header of gRPC.
 * It is canonical: the symbols of one length, in their order, have codes that follow each other. So their lengths say it all.
 */
const symbolsByLength: Readonly<Record<number, string>> = {
  5: "012aceiost",
  6: " %-./3456789=A_bdfghlmnpru",
  7: ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
  8: "&*,;XZ",
  10: '!"()?',
  11: "'+|",
  12: "#>",
  13: "\0$@[]~",
  14: "^}",
  15: "<`{",
  19: "\\",
};

const longest = 19;

/** Symbol by length and code. */
const symbols = new Map<number, string>();
let code = 0;
for (let length = 1; length <= longest; length++) {
  code <<= 1;
  for (const symbol of symbolsByLength[length] ?? "") symbols.set(keyOf(length, code++), symbol);
}

function keyOf(length: number, code: number): number {
  return length * 2 ** 20 + code;
}

/** Decodes a string of a header block. Throws for what is not printable ASCII. */
export function decodeHuffman(bytes: Uint8Array): string {
  let decoded = "";
  let code = 0;
  let length = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = (code << 1) | ((byte >> bit) & 1);
      length++;
      const symbol = symbols.get(keyOf(length, code));
      if (symbol !== undefined) {
        decoded += symbol;
        code = 0;
        length = 0;
      } else if (length > longest) {
        throw new Error("a header has a character that is not printable ASCII");
      }
    }
  }
  // What is left is padding: the first bits, all ones, of a code that does not end here.
  if (length > 7 || code !== 2 ** length - 1) throw new Error("a header's string is cut off");
  return decoded;
}
