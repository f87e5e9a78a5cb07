import { expect, test } from "vitest";
import { readTimeout } from "../../../src/transport/deadline.ts";

const maxMs = 2 ** 31 - 1;
const read = (headers: Readonly<Record<string, string>>) =>
  readTimeout(headers, maxMs, (header) => new Error(`malformed ${header}`));

test.each([
  ["grpc-timeout", "20S", 20_000],
  ["grpc-timeout", "1H", 3_600_000],
  ["grpc-timeout", "5m", 5],
  ["grpc-timeout", "99999999H", maxMs],
  ["connect-timeout-ms", "15000", 15_000],
  ["connect-timeout-ms", "9999999999", maxMs],
  ["x-server-timeout", "12.5", 12_500],
  ["x-server-timeout", ".5", 500],
])("%s: %s is %i ms", (name, value, ms) => expect(read({ [name]: value })).toBe(ms));

test("the shortest of several timeouts counts; undefined without a header", () => {
  expect(read({ "connect-timeout-ms": "300", "x-server-timeout": "0.2", "grpc-timeout": "1S" })).toBe(200);
  expect(read({})).toBeUndefined();
});

test.each([
  ["grpc-timeout", "20"],
  ["grpc-timeout", "123456789S"],
  ["grpc-timeout", "-1S"],
  ["connect-timeout-ms", "1.5"],
  ["connect-timeout-ms", "99999999999"],
  ["connect-timeout-ms", ""],
  ["x-server-timeout", "soon"],
  ["x-server-timeout", "-1"],
  ["x-server-timeout", "1e9"],
  ["x-server-timeout", "."],
  ["x-server-timeout", "Infinity"],
])("%s: %j is malformed", (name, value) => {
  expect(() => read({ [name]: value })).toThrow(`malformed ${name}`);
});
