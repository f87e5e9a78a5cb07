import { expect, test } from "vitest";
import { maxResidentMegabytes } from "./bound.ts";
import { besiege } from "./siege.ts";

// The long one is `npm run test:siege`.
test("hostile clients of every kind keep nobody from being served, and memory within its bound", async () => {
  const outcomes = await besiege({ scale: 0.05, patient: false, tell: () => {} });
  expect(outcomes.filter(({ refused }) => refused.length > 0)).toEqual([]);
  expect(outcomes.filter(({ peak }) => peak > maxResidentMegabytes)).toEqual([]);
}, 180_000);
