import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { callerVariableNames, readConfig, variableNames } from "../../src/server/config/config.ts";
import { type Service, startService } from "../../src/server/service.ts";
import { type TestDatabase, createTestDatabase } from "../support/postgres/test-database.ts";

const readme = readFileSync("README.md", "utf8");
const secret = "a secret of the README's";

let database: TestDatabase;
let service: Service;
let folder: string;

beforeAll(async () => {
  database = await createTestDatabase();
  const read = readConfig({
    DATABASE_URL: database.url,
    SESSIOND_MASTER_KEY: Buffer.alloc(32, 7).toString("base64"),
    SESSIOND_LISTEN: "127.0.0.1:0",
    SESSIOND_BOOTSTRAP_PROJECT: `development:${secret}`,
  });
  if ("problems" in read) throw new Error(read.problems.join("; "));
  service = await startService(read.config, pino({ level: "silent" }));
  folder = await mkdtemp(join(tmpdir(), "sessiond-readme-"));
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
  const command = `#!/bin/sh\nexec "${process.execPath}" "${resolve("src/cli/main.ts")}" "$@"\n`;
  writeFileSync(join(folder, "sessiond"), command, { mode: 0o755 });
  mkdirSync(join(folder, ".sessiond"));
  writeFileSync(join(folder, ".sessiond", "development-secret"), `${secret}\n`);
});

afterAll(async () => {
  await service.stop();
  await database.drop();
  await rm(folder, { recursive: true });
});

/** The examples are one script for one shell: later ones use the variables of earlier ones. */
test("the README's examples do what they say", async () => {
  const examples = readme.slice(readme.indexOf("## Examples"), readme.indexOf("### From TypeScript"));
  expect(examples).toContain("/v1/b2b/sessions/revoke");
  await keepTheirWord(examples);
});

test("so do those of the command", async () => {
  const section = readme.slice(readme.indexOf("## Command line"), readme.indexOf("## Configuration"));
  expect(section).toContain("sessiond sessions watch");
  await keepTheirWord(section);
});

test("the README's table has every variable of the configuration, with its default", () => {
  const rows = Array.from(readme.matchAll(/^\| (`(?:SESSIOND|DATABASE)_\w+`(?:, )?)+ \|/gm), ([row]) =>
    Array.from(row.matchAll(/\w+/g), ([name]) => name),
  ).flat();
  expect(rows.toSorted()).toEqual([...variableNames, ...callerVariableNames].toSorted());
});

/** Runs the examples of a part of the README, and compares what they print with what it says. */
async function keepTheirWord(part: string): Promise<void> {
  const script = Array.from(part.matchAll(/^```sh\n(.*?)^```/gms), ([, block = ""]) => block).join("");
  // Each expectation becomes a mark in the output, behind what the command before it printed.
  const marked = script
    .replaceAll("127.0.0.1:8080", `127.0.0.1:${service.port}`)
    .replace(/^#> (.*)$/gm, "echo; echo '#mark'");
  const output = await bash(marked);
  const expected = Array.from(script.matchAll(/^#> (.*)$/gm), ([, fragment = ""]) => fragment);
  const printed = output.split("#mark\n");
  expect(printed).toHaveLength(expected.length + 1);
  for (const [i, fragment] of expected.entries()) {
    expect(printed[i]?.replaceAll(/("[^"]+":) (?=")/g, "$1")).toContain(
      fragment.replaceAll(/("[^"]+":) (?=")/g, "$1"),
    );
  }
}

async function bash(script: string): Promise<string> {
  const path = [folder, resolve("node_modules/.bin"), process.env["PATH"]].join(delimiter);
  const SESSIOND_SERVER = `http://127.0.0.1:${service.port}`;
  const child = spawn("bash", ["-e", "-o", "pipefail", "-c", script], {
    cwd: folder,
    env: { ...process.env, PATH: path, SESSIOND_SERVER },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = new Promise<number | null>((done) => {
    child.once("exit", done);
  });
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  expect({ code, errors: code === 0 ? "" : errors }).toEqual({ code: 0, errors: "" });
  return output;
}
