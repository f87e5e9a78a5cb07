import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import {
  developmentProject,
  embeddedMasterKey,
  existingMasterKey,
} from "../../../../src/server/config/data-directory.ts";

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "sessiond-data-"));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

test("creates the development secret once, readable by its owner only", async () => {
  const path = await directory();
  const first = await developmentProject(path);
  const second = await developmentProject(path);
  expect([first.isNew, second.isNew, second.secret]).toEqual([true, false, first.secret]);
  expect((await stat(first.file)).mode & 0o777).toBe(0o600);
});

test.each(["", "\n", "ssk_short"])("rejects an incomplete development secret: %o", async (text) => {
  const path = await directory();
  await writeFile(join(path, "development-secret"), text);
  await expect(developmentProject(path)).rejects.toThrow("holds no secret");
});

test("creates the master key once", async () => {
  const path = await directory();
  const first = await embeddedMasterKey(path);
  expect(first).toHaveLength(32);
  expect(await embeddedMasterKey(path)).toEqual(first);
  expect(await existingMasterKey(path)).toEqual(first);
});

test.each(["", "c2hvcnQ=", `${"A".repeat(42)}!A=`, `${"A".repeat(44)}A=`])(
  "rejects a damaged master key: %o",
  async (text) => {
    const path = await directory();
    await writeFile(join(path, "master.key"), text);
    await expect(embeddedMasterKey(path)).rejects.toThrow("does not hold 32 bytes");
    await expect(existingMasterKey(path)).rejects.toThrow("does not hold 32 bytes");
  },
);
