import { fork } from "node:child_process";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { openRaw } from "../listener/raw-connection.ts";

test("a connection beyond the limits of all workers is closed, not passed between them forever", async () => {
  const primary = fork(new URL("two-full-workers.ts", import.meta.url));
  onTestFinished(async () => {
    primary.disconnect();
    await once(primary, "exit");
  });
  const [port]: [number] = (await once(primary, "message")) as [number];
  const connections = [await openRaw(port), await openRaw(port), await openRaw(port)];
  expect(await Promise.race(connections.map(({ closed }) => closed))).toBe("");
});
