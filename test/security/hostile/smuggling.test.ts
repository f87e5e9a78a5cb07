import { expect, test } from "vitest";
import { preface } from "../../support/fixtures/http2-bytes.ts";
import { openRaw } from "../../unit/server/listener/raw-connection.ts";
import { attackTarget } from "./target.ts";

const target = await attackTarget();
/** A second request behind the one under test. Only a parser that reads the first one differently answers it. */
const smuggled = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
const post =
  "POST /session/v1/sessions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" +
  `Authorization: ${target.home.basic}\r\n`;
const chunked = `${post}Transfer-Encoding: chunked\r\n\r\n`;
const end = "0\r\n\r\n";

test.each([
  ["both lengths", `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${end}`],
  ["both lengths, the coding first", `${post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${end}`],
  ["a coding after a tab", `${post}Content-Length: 5\r\nTransfer-Encoding:\tchunked\r\n\r\n${end}`],
  ["two codings", `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n${end}`],
  ["chunked not last", `${post}Transfer-Encoding: chunked, identity\r\n\r\n${end}`],
  ["an unknown coding", `${post}Transfer-Encoding: xchunked\r\n\r\n${end}`],
  ["a coding in quotes", `${post}Transfer-Encoding: "chunked"\r\n\r\n${end}`],
  ["a coding with a vertical tab", `${post}Transfer-Encoding: \x0bchunked\r\n\r\n${end}`],
  ["a coding on a folded line", `${post}Transfer-Encoding:\r\n chunked\r\n\r\n${end}`],
  ["a space before the colon", `${post}Transfer-Encoding : chunked\r\n\r\n${end}`],
  ["a space before the first header", "POST / HTTP/1.1\r\n Host: a\r\n\r\n"],
  ["a folded header", `${post}X: a\r\n Content-Length: 40\r\n\r\n`],
  ["two different lengths", `${post}Content-Length: 0\r\nContent-Length: 33\r\n\r\n`],
  ["a list of lengths", `${post}Content-Length: 5, 6\r\n\r\nhello`],
  ["a signed length", `${post}Content-Length: +5\r\n\r\nhello`],
  ["a negative length", `${post}Content-Length: -5\r\n\r\nhello`],
  ["a length that is too large", `${post}Content-Length: 99999999999999999999\r\n\r\nhello`],
  ["a length in hexadecimal", `${post}Content-Length: 0x0\r\n\r\n`],
  ["a length with an underscore", `${post}Content_Length: 0\r\nContent-Length: 3_3\r\n\r\n`],
  ["a line that ends in LF", `${post}Content-Length: 0\nX: y\r\n\r\n`],
  ["a line that ends in CR", `${post}X: y\rContent-Length: 5\r\n\r\nhello`],
  ["headers that end in LF LF", `${post}Content-Length: 0\n\n`],
  ["a NUL in a header", `${post}X: a\0b\r\n\r\n`],
  ["an unknown version", "GET /livez HTTP/3.7\r\nHost: a\r\n\r\n"],
  ["an unknown method", "BREW /livez HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["an incorrect HTTP/2 preface", `${preface.slice(0, 16)}SX\r\n\r\n`],
  ["a TLS hello", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"],
  ["random bytes", "\x00\xff\xfe\x80".repeat(50)],
  ["a chunk size that is not a number", `${chunked}ZZ\r\n`],
  ["a chunk size with a sign", `${chunked}+0\r\n\r\n`],
  ["a chunk size in 0x", `${chunked}0x0\r\n\r\n`],
  ["a chunk size over 64 bits", `${chunked}10000000000000000\r\n\r\n`],
  ["a chunk line that ends in LF", `${chunked}0\n\r\n`],
  ["a chunk extension with LF", `${chunked}0;a\n`],
  ["chunk extensions of 20 KB", `${chunked}0;a=${"b".repeat(20_000)}\r\n\r\n`],
  ["a chunk longer than its size", `${chunked}1\r\nab\r\n${end}`],
])("rejects a request with %s and answers nothing behind it", async (_, bytes) => {
  const raw = await openRaw(target.port);
  raw.write(Buffer.from(bytes + smuggled, "latin1"));
  const answers = await raw.closed;
  expect(answers.match(/^HTTP\/1\.1 \d+/gm)).toEqual([expect.stringMatching(/ 4\d\d$/)]);
  expect(answers).toMatch(/^connection: close\r$/im);
  expect(answers).toMatch(/^x-request-id: [0-9a-f-]{36}\r$/im);
});

test("serves a target in absolute form by its path, independent of its host", async () => {
  const raw = await openRaw(target.port);
  raw.write(
    "GET http://elsewhere.example/session/v1/projects/home/jwks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  );
  expect(await raw.closed).toMatch(/^HTTP\/1\.1 200 /);
});
