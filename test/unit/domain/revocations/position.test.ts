import fc from "fast-check";
import { expect, test } from "vitest";
import type { RevocationId } from "../../../../src/domain/ids.ts";
import { parsePosition, positionText } from "../../../../src/domain/revocations/position.ts";

const position = fc.record({
  revision: fc.maxSafeNat(),
  id: fc.uuid().map((id) => id as RevocationId),
});

test("a position is parsed from its text, which is visible ASCII of at most 128 characters", () => {
  fc.assert(
    fc.property(position, (original) => {
      const text = positionText(original);
      expect(parsePosition(text)).toEqual(original);
      expect(text).toMatch(/^[!-~]{1,128}$/);
    }),
  );
});

test("one position has one text", () => {
  const character = fc.constantFrom(..."0123456789.-_AQgwZz+= ".split(""));
  fc.assert(
    fc.property(position, fc.nat(30), character, fc.boolean(), (original, at, changed, isInserted) => {
      const text = positionText(original);
      const other = text.slice(0, at) + changed + text.slice(isInserted ? at : at + 1);
      const parsed = parsePosition(other);
      expect(parsed === undefined ? other : positionText(parsed)).toBe(other);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ["", "1.5", "2.5", "2.5.", "2..AAAAAAAAAAAAAAAAAAAAAA"],
  ["3.5.AAAAAAAAAAAAAAAAAAAAAA", "2.05.AAAAAAAAAAAAAAAAAAAAAA", "2.-5.AAAAAAAAAAAAAAAAAAAAAA"],
  [
    "2.5.AAAAAAAAAAAAAAAAAAAAAB",
    "2.5.AAAAAAAAAAAAAAAAAAAAA",
    "2.5.AAAAAAAAAAAAAAAAAAAAAAA",
    "2.5.AAAAAAAAAAAAAAAAAAAAA=",
  ],
  [
    "2.9007199254740992.AAAAAAAAAAAAAAAAAAAAAA",
    "2.5.AAAAAAAAAAAAAAAAAAAAAA\n",
    " 2.5.AAAAAAAAAAAAAAAAAAAAAA",
  ],
])("texts that are no positions: %j", (...texts) => {
  expect(texts.map(parsePosition)).toEqual(texts.map(() => undefined));
});
