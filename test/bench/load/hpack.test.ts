import { once } from "node:events";
import { createServer } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { clientPreface, flag, frame, frameHeaderLength, frameType } from "./frames.ts";
import { type Header, decodeHeaders, encodeRequests } from "./hpack.ts";

const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));

test("reads the header blocks that node:http2 makes", async () => {
  const sent: Record<string, string> = {
    "content-type": "application/grpc+proto",
    "x-empty": "",
    "x-long": "0".repeat(300),
    // Each between digits, whose codes are short: so every string is sent compressed.
    ...Object.fromEntries(printable.map((symbol, i) => [`x-${i}`, `00000000000000${symbol}00000000000000`])),
  };
  const block = await answeredBlock(sent);
  expect(block.length).toBeLessThan(JSON.stringify(sent).length);
  const headers = decodeHeaders(block);
  expect(headers[0]).toEqual([":status", "200"]);
  expect(Object.fromEntries(headers)).toMatchObject(sent);
});

test("refuses a block that refers to a dynamic table, and one that is cut off", async () => {
  expect(() => decodeHeaders(Buffer.of(0x80 | 62))).toThrow("dynamic table");
  const block = await answeredBlock({ "x-name": "a value of some length" });
  expect(() => decodeHeaders(block.subarray(0, -3))).toThrow("ends within");
});

test("requests are understood by node:http2, the first and those that refer to it", async () => {
  const headers: Header[] = [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", `/${"p".repeat(200)}`],
    [":authority", "here"],
    ["x-a", "1"],
    ["x-b", "2"],
  ];
  const { first, later } = encodeRequests(headers);
  const seen: object[] = [];
  const server = createServer().on("stream", (stream, received) => {
    seen.push(received);
    stream.respond({ ":status": 200 }, { endStream: true });
  });
  const socket = await open(server);
  const flags = flag.endHeaders | flag.endStream;
  socket.write(clientPreface());
  for (const [stream, block] of [first, later, later].entries()) {
    socket.write(frame(frameType.headers, flags, 1 + 2 * stream, block));
  }
  await expect.poll(() => seen.length).toBe(3);
  for (const received of seen) expect(received).toMatchObject(Object.fromEntries(headers));
});

async function open(server: ReturnType<typeof createServer>) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  await once(socket, "connect");
  return socket;
}

/** The block in which a server of node:http2 sends these headers to a client that takes no dynamic table. */
async function answeredBlock(headers: Record<string, string>): Promise<Buffer> {
  const server = createServer().on("stream", (stream) => stream.respond(headers, { endStream: true }));
  const socket = await open(server);
  const request = encodeRequests([
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "here"],
  ]);
  socket.write(clientPreface());
  socket.write(frame(frameType.headers, flag.endHeaders | flag.endStream, 1, request.first));
  let bytes: Buffer = Buffer.alloc(0);
  for (;;) {
    const [chunk]: Buffer[] = await once(socket, "data");
    bytes = Buffer.concat([bytes, chunk ?? Buffer.alloc(0)]);
    for (let at = 0; at + frameHeaderLength <= bytes.length;) {
      const end = at + frameHeaderLength + bytes.readUIntBE(at, 3);
      if (bytes[at + 3] === frameType.headers && end <= bytes.length) {
        return bytes.subarray(at + frameHeaderLength, end);
      }
      at = end;
    }
  }
}
