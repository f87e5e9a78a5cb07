import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type ProjectTag, newServiceSecret, newSessionToken } from "../../../../src/domain/token.ts";
import { withoutSecrets } from "../../../../src/server/observability/log.ts";

const module = fileURLToPath(new URL("../../../../src/server/observability/log.ts", import.meta.url));

/** Runs `script` with `output` on standard error; returns its exit status and the lines. */
function run(script: string) {
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `import { logOutput } from ${JSON.stringify(module)}; const output = logOutput(2); ${script}`,
    ],
    { encoding: "utf8" },
  );
  return { status, lines: stderr.split("\n").slice(0, -1) };
}

test("writes all lines before an exit, complete and in order", () => {
  const { status, lines } = run(
    `for (let i = 0; i < 10_000; i++) output.write("line " + i + " ü".repeat(i % 50) + "\\n"); process.exit(3);`,
  );
  expect(status).toBe(3);
  expect(lines).toEqual(Array.from({ length: 10_000 }, (_, i) => `line ${i}${" ü".repeat(i % 50)}`));
});

test("writes all lines before an uncaught error", () => {
  const { lines } = run(`output.write("last words\\n"); throw new Error("the end");`);
  expect(lines).toContain("last words");
});

test.runIf(process.platform === "linux")("neither ends the process nor fills memory on a full disk", () => {
  const { status, lines } = run(
    `const full = logOutput("/dev/full");
    for (let i = 0; i < 3_000; i++) {
      full.write("x".repeat(20_000) + "\\n");
      if (i % 100 === 0) await new Promise(setImmediate);
    }
    if (process.memoryUsage().rss > 200_000_000) process.exit(4);
    output.write("still here\\n");`,
  );
  expect({ status, lines }).toEqual({ status: 0, lines: ["still here"] });
});

test("writes a line longer than the buffer", () => {
  const long = "x".repeat(40_000);
  const { lines } = run(
    `output.write("a\\n"); output.write("x".repeat(40_000) + "\\n"); output.write("b\\n");`,
  );
  expect(lines).toEqual(["a", long, "b"]);
});

const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
const id = "0190d4f3-7a34-7bb1-8ae0-4a1b2a0f0a9e";

test.each([
  ["removes a session token", "/v/", newSessionToken("AAAAAAAA" as ProjectTag), "/revoke"],
  ["removes a service secret", "/v/", newServiceSecret(), "/revoke"],
  ["removes a JWT", "/v/", jwt, "/revoke"],
  ["removes a JWT without its signature", "/v/", jwt.slice(0, jwt.lastIndexOf(".")), "/revoke"],
  ["removes a password from a URL", "postgres://user:", "pa55", "@host:5432/db"],
  ["leaves an id unchanged", `/v/${id}/revoke`],
  ["leaves an address unchanged", "connect ECONNREFUSED 127.0.0.1:5432"],
])("%s", (_, before, secret = "", after = "") => {
  const shown = secret === "" ? before : `${before}[secret]${after}`;
  expect(withoutSecrets(before + secret + after)).toBe(shown);
});
