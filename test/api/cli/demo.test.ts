import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { endings } from "../../../src/cli/demo/endings.ts";

test("the demo shows every way to end a session, and each session refused afterwards", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["src/cli/main.ts", "demo"]);
  const rows = stdout.split("\n").filter((line) => /^\d+ /.test(line));
  expect(rows).toHaveLength(endings.length);
  for (const [i, row] of rows.entries()) {
    expect(row).toContain(endings[i]?.request);
    expect(row).toMatch(/ accepted +(OK|200|204) +refused: SESSION_REVOKED(_BY_CUTOFF)?$/);
  }
  expect(stdout).toContain("All answers are as expected.");
});
