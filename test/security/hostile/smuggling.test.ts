import { expect, test } from "vitest";
import { openRaw } from "../../unit/server/listener/raw-connection.ts";
import { attackTarget } from "./target.ts";

const target = attackTarget();
/** What a smuggler wants to have answered: it stands where one reading of the request ends. */
const smuggled = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
const post = "POST /session/v1/projects/home/jwks HTTP/1.1\r\nHost: a\r\n";

test.each([
  ["both lengths", `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  [
    "a coding behind a tab",
    `${post}Content-Length: 5\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n${smuggled}`,
  ],
  [
    "a coding twice",
    `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${smuggled}`,
  ],
  ["a coding in quotes", `${post}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n${smuggled}`],
  ["a coding with a vertical tab", `${post}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ["a coding on a folded line", `${post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ["a folded header", `${post}X: a\r\n Content-Length: 40\r\n\r\n${smuggled}`],
  ["two lengths that agree not", `${post}Content-Length: 0\r\nContent-Length: 33\r\n\r\n${smuggled}`],
  ["a length in hexadecimal", `${post}Content-Length: 0x0\r\n\r\n${smuggled}`],
  ["a length with an underscore", `${post}Content_Length: 0\r\nContent-Length: 3_3\r\n\r\n${smuggled}`],
  ["a line that ends in LF", `${post}Content-Length: 0\nX: y\r\n\r\n${smuggled}`],
  ["a head that ends in LF LF", `${post}Content-Length: 0\n\n${smuggled}`],
  ["a chunk size with a sign", `${post}Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n${smuggled}`],
  ["a chunk size in 0x", `${post}Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n${smuggled}`],
  [
    "a chunk size beyond 64 bits",
    `${post}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n${smuggled}`,
  ],
  ["a chunk line that ends in LF", `${post}Transfer-Encoding: chunked\r\n\r\n0\n\r\n${smuggled}`],
  ["a chunk extension with LF", `${post}Transfer-Encoding: chunked\r\n\r\n0;a\n${smuggled}`],
  [
    "chunk extensions of 20 KB",
    `${post}Transfer-Encoding: chunked\r\n\r\n0;a=${"b".repeat(20_000)}\r\n\r\n${smuggled}`,
  ],
  ["a chunk longer than it says", `${post}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n${smuggled}`],
])("nothing is answered behind a request with %s", async (_, bytes) => {
  const raw = await openRaw(target.port);
  raw.write(Buffer.from(bytes, "latin1"));
  const answers = (await raw.closed).match(/^HTTP\/1\.1 \d+/gm) ?? [];
  expect(answers.length).toBeLessThanOrEqual(1);
  expect(answers.filter((line) => line.endsWith("200"))).toEqual([]);
});

test("a target in absolute form is served by its path, whatever its host", async () => {
  const raw = await openRaw(target.port);
  raw.write(
    "GET http://elsewhere.example/session/v1/projects/home/jwks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  );
  expect(await raw.closed).toMatch(/^HTTP\/1\.1 200 /);
});
