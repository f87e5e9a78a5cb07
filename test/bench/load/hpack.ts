import { decodeHuffman } from "./huffman.ts";
import { staticTable } from "./static-table.ts";

/** A header's name and value. */
export type Header = readonly [name: string, value: string];

/**
 * Decodes a block of headers (RFC 7541) from a peer that was told to keep no dynamic table. Then equal bytes mean equal headers,
 * whatever came before, and whoever meets a block twice need not decode it again. Throws for what is no such block.
 */
export function decodeHeaders(block: Buffer): readonly Header[] {
  const headers: Header[] = [];
  const reader = { block, at: 0 };
  while (reader.at < block.length) {
    const first = block[reader.at] ?? 0;
    if (first & 0x80) headers.push(indexed(readInteger(reader, 7)));
    // The peer says that its table is now empty.
    else if ((first & 0xe0) === 0x20) readInteger(reader, 5);
    else headers.push(readLiteral(reader, (first & 0x40) === 0 ? 4 : 6));
  }
  return headers;
}

interface Reader {
  readonly block: Buffer;
  at: number;
}

function readLiteral(reader: Reader, prefixBits: number): Header {
  const index = readInteger(reader, prefixBits);
  const name = index === 0 ? readString(reader) : indexed(index)[0];
  return [name, readString(reader)];
}

function indexed(index: number): Header {
  const entry = staticTable[index - 1];
  if (entry === undefined) throw new Error(`the header block refers to entry ${index} of a dynamic table`);
  return entry;
}

function readString(reader: Reader): string {
  const huffman = ((reader.block[reader.at] ?? 0) & 0x80) !== 0;
  const length = readInteger(reader, 7);
  const bytes = reader.block.subarray(reader.at, (reader.at += length));
  if (bytes.length < length) throw new Error("the header block ends within a string");
  return huffman ? decodeHuffman(bytes) : bytes.toString("latin1");
}

/** RFC 7541, section 5.1. */
function readInteger(reader: Reader, prefixBits: number): number {
  const mask = (1 << prefixBits) - 1;
  let value = (reader.block[reader.at++] ?? 0) & mask;
  if (value < mask) return value;
  for (let shift = 0; ; shift += 7) {
    const byte = reader.block[reader.at++];
    if (byte === undefined || shift > 21) throw new Error("the header block has no end of an integer");
    value += (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

/**
 * Encodes requests whose headers are the same for a whole connection, as gRPC's clients do: `first` puts them into the
 * connection's dynamic table, `later` refers to them there. The table must hold them all: 4,096 bytes, as every peer allows.
 */
export function encodeRequests(headers: readonly Header[]): {
  readonly first: Buffer;
  readonly later: Buffer;
} {
  const literal = headers.map(([name, value]) => Buffer.concat([Buffer.of(0x40), text(name), text(value)]));
  // The newest entry has the lowest index, after those of the static table.
  const references = headers.map((_, i) => 0x80 | (staticTable.length + headers.length - i));
  return { first: Buffer.concat(literal), later: Buffer.from(references) };
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  return Buffer.concat([integer(bytes.length), bytes]);
}

function integer(value: number): Buffer {
  if (value < 0x7f) return Buffer.of(value);
  const bytes = [0x7f];
  let rest = value - 0x7f;
  for (; rest >= 0x80; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}
