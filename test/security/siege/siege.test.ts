import { expect, test } from "vitest";
import { besiege, maxResidentMegabytes } from "./siege.ts";

// The long run: `npm run test:siege`.
test("serves an ordinary client during every attack, with memory within its bound", async () => {
  const outcomes = await besiege({ scale: 0.05, patient: false });
  expect(outcomes.filter(({ refused }) => refused.length > 0)).toEqual([]);
  expect(outcomes.filter(({ peak }) => peak > maxResidentMegabytes)).toEqual([]);
}, 180_000);
