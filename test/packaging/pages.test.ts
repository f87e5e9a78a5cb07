import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, expect, test } from "vitest";
import { configurationTable } from "../../src/server/config/variables.ts";
import { childEnvironment } from "../support/process/child.ts";
import { runningService } from "../support/fixtures/running-service.ts";

const pages = globSync("{README.md,{proto,src,test}/**/*.md}").filter(
  (page) => !page.includes("third_party"),
);
const service = await runningService({ projectId: "development" });
const folder = await mkdtemp(join(tmpdir(), "sessiond-pages-"));
afterAll(() => rm(folder, { recursive: true }));
symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
const command = `#!/bin/sh\nexec "${process.execPath}" "${resolve("src/cli/main.ts")}" "$@"\n`;
writeFileSync(join(folder, "sessiond"), command, { mode: 0o755 });
mkdirSync(join(folder, ".sessiond"));
writeFileSync(join(folder, ".sessiond", "development-secret"), `${service.secret}\n`);

/** The examples of a page are one script for one shell: later ones use the variables of earlier ones. */
test.each([
  "README.md",
  "proto/README.md",
  "src/rest/README.md",
  "src/compat/README.md",
  "src/cli/README.md",
])("the examples of %s print what the page says", async (page) => {
  const script = scriptOf(readFileSync(page, "utf8"));
  const expected = Array.from(script.matchAll(/^#> (.*)$/gm), ([, fragment = ""]) => fragment);
  expect(expected).not.toEqual([]);
  // Each expectation becomes a mark in the output, after the output of the command before it.
  const marked = script
    .replaceAll("127.0.0.1:8080", `127.0.0.1:${service.port}`)
    .replace(/^#> .*$/gm, "echo; echo '#mark'");
  const printed = (await bash(marked)).split("#mark\n");
  expect(printed).toHaveLength(expected.length + 1);
  for (const [i, fragment] of expected.entries()) {
    expect(withoutBlanks(printed[i] ?? "")).toContain(withoutBlanks(fragment));
  }
});

test("git ignores every file that the examples write, because it may hold a token or a secret", () => {
  const written = readdirSync(folder).filter((name) => !["node_modules", "sessiond"].includes(name));
  expect(written).toEqual(expect.arrayContaining([".sessiond", "acme.secret", "session.json"]));
  // The commands that the other pages show, but which do not run here, write these.
  const shown = pages.flatMap((page) =>
    Array.from(
      readFileSync(page, "utf8").matchAll(/-(?:keyout|out) (\S+\.\w+)|_FILE=(\S+\.pem)|--file=(\S+)/g),
      (match) => match[1] ?? match[2] ?? match[3] ?? "",
    ),
  );
  const files = [...new Set([...written, ...shown])].map((name) =>
    name === ".sessiond" ? `${name}/` : name,
  );
  const checked = spawnSync("git", ["check-ignore", "--no-index", "--stdin"], { input: files.join("\n") });
  expect(checked.stdout.toString().trim().split("\n")).toEqual(files);
});

test("README.md stays short: at most 200 lines of at most 120 characters", () => {
  const lines = readFileSync("README.md", "utf8").trimEnd().split("\n");
  expect(lines.length).toBeLessThanOrEqual(200);
  expect(lines.filter((line) => line.length > 120)).toEqual([]);
});

test("every relative link of a page leads to a file", () => {
  const links = pages.flatMap((page) =>
    Array.from(readFileSync(page, "utf8").matchAll(/\]\((?!https?:)([^)#]+)/g), ([, target = ""]) => ({
      page,
      target,
    })),
  );
  expect(links).not.toEqual([]);
  expect(links.filter(({ page, target }) => !existsSync(join(dirname(page), target)))).toEqual([]);
});

test("the configuration table of src/server/README.md is that of the code", () => {
  const page = readFileSync("src/server/README.md", "utf8");
  const [, table] = /<!-- configuration:.*-->\n\n([^]*)\n<!-- end of configuration -->/.exec(page) ?? [];
  expect(table, "replace the table by what configurationTable() returns").toBe(configurationTable());
});

/** The shell blocks of a page, without those that start or test the service itself. */
function scriptOf(page: string): string {
  return Array.from(page.matchAll(/^```sh\n(.*?)^```/gms), ([, block = ""]) => block)
    .filter((block) => !block.startsWith("npm "))
    .join("");
}

/** Proto JSON may put a blank after a colon. */
function withoutBlanks(text: string): string {
  return text.replaceAll(/("[^"]+":) (?=")/g, "$1");
}

async function bash(script: string): Promise<string> {
  const path = [folder, resolve("node_modules/.bin"), process.env["PATH"]].join(delimiter);
  const SESSIOND_SERVER = `http://127.0.0.1:${service.port}`;
  const child = spawn("bash", ["-e", "-o", "pipefail", "-c", script], {
    cwd: folder,
    env: { ...process.env, ...childEnvironment({ PATH: path, SESSIOND_SERVER }) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = new Promise<number | null>((done) => {
    child.once("exit", done);
  });
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  expect({ code, errors: code === 0 ? "" : errors }).toEqual({ code: 0, errors: "" });
  return output;
}
