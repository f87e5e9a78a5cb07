import { expect, test } from "vitest";
import { sleepPastRetention } from "./retention.ts";

test("a verifier that was frozen past retention rejects sessions that were revoked then, and recovers", async () => {
  const { revoked, alive, resynchronised } = await sleepPastRetention(1000, 20_000);
  expect(revoked.filter(({ ok }) => ok)).toEqual([]);
  expect(revoked.at(0)).toMatchObject({ reason: "stale" });
  expect(revoked.at(-1)).toMatchObject({ reason: "revoked" });
  expect(alive).toMatchObject({ ok: true });
  expect(resynchronised).toBe(1);
}, 60_000);
