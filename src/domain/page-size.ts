/** Most bytes of a page as a binary message. gRPC clients accept 4 MiB by default; a page may have fewer rows than were asked for. */
const maxPageBytes = 3 * 1024 * 1024;

/** How many of `rows`, from the first on, fit into an answer; at least one. */
export function fittingRows(rows: readonly unknown[]): number {
  let bytes = 0;
  for (const [index, row] of rows.entries()) {
    bytes += messageBytes(row);
    if (bytes > maxPageBytes) return Math.max(1, index);
  }
  return rows.length;
}

/**
 * Estimates the bytes of a value in a binary message from above. The names of fields are counted too, because those of a Struct
 * are part of the message. An entry of a Struct, its key and its value take up to 14 bytes for tags and lengths.
 */
export function messageBytes(value: unknown): number {
  switch (typeof value) {
    case "string":
      return Buffer.byteLength(value) + 6;
    case "object":
      if (value === null) return 4;
      if (value instanceof Date) return 16;
      if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + messageBytes(item) + 8, 8);
      return Object.entries(value).reduce(
        (sum, [name, member]) => sum + Buffer.byteLength(name) + messageBytes(member) + 14,
        8,
      );
    default:
      return 11;
  }
}
