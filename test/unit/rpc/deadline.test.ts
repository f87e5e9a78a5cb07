import { expect, onTestFinished, test } from "vitest";
import { unknownPeer } from "../../../src/auth/peer.ts";
import { byDeadline } from "../../../src/rpc/deadline.ts";

test("a deadline that passed before the work began ends it, and the process warns of nothing", async () => {
  const warnings: Error[] = [];
  const note = (warning: Error) => void warnings.push(warning);
  process.on("warning", note);
  onTestFinished(() => void process.off("warning", note));
  const start = performance.now();
  const record = { id: "", uuid: "", start, peer: unknownPeer, deadline: start - 5 };
  await expect(byDeadline(record, () => new Promise(() => undefined))).rejects.toThrow("the deadline passed");
  // Warnings are told in the next turn of the event loop.
  await new Promise(setImmediate);
  expect(warnings).toEqual([]);
});
