/** The 24 bytes an HTTP/2 client sends first. */
export const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** An HTTP/2 frame; the payload may be given in latin1. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: string | Uint8Array = "",
): Buffer {
  const body = Buffer.from(payload as string, "latin1");
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

/** An empty SETTINGS frame, and the acknowledgement of the server's. */
export const settings = Buffer.concat([frame(4, 0, 0), frame(4, 1, 0)]);

/** HPACK literals without indexing; names and values up to 126 bytes. */
export function headerBlock(headers: Record<string, string>): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value, "latin1")]);
  return Buffer.concat(
    Object.entries(headers).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]),
  );
}

const typeNames = [
  "DATA",
  "HEADERS",
  "PRIORITY",
  "RST_STREAM",
  "SETTINGS",
  "PUSH_PROMISE",
  "PING",
  "GOAWAY",
  "WINDOW_UPDATE",
];

/** The types of the whole HTTP/2 frames in what a connection received. */
export function frameTypes(received: string): string[] {
  const bytes = Buffer.from(received, "latin1");
  const types: string[] = [];
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3))
    types.push(typeNames[bytes.readUInt8(at + 3)] ?? "unknown");
  return types;
}
