import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { minNodeVersion, nodeProblem } from "../../../src/transport/node-version.ts";

test("package.json requires the same version", () => {
  const { engines } = JSON.parse(readFileSync("package.json", "utf8")) as { engines: { node: string } };
  expect(engines.node).toBe(`>=${minNodeVersion}`);
});

test.each(["22.12.0", "22.13.1", "23.0.0", "24.21.0", "100.0.0"])("supports Node.js %s", (version) => {
  expect(nodeProblem(version)).toBeUndefined();
});

test.each(["18.20.8", "20.20.2", "22.11.0", "22.9.0"])("rejects Node.js %s in one sentence", (version) => {
  expect(nodeProblem(version)).toBe(`sessiond needs Node.js 22.12 or newer, and this is ${version}.`);
});

/** Runs Node.js so that it reports an unsupported version. */
function runOnOldNode(...args: string[]) {
  const preload = "data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.20.2'})";
  return spawnSync(process.execPath, ["--import", preload, ...args], { encoding: "utf8" });
}

test("the command prints the sentence and nothing else, and fails", () => {
  const { status, stdout, stderr } = runOnOldNode("src/cli/main.ts", "serve");
  const sentence = "sessiond needs Node.js 22.12 or newer, and this is 20.20.2.\n";
  expect({ status, stdout, stderr }).toEqual({ status: 1, stdout: "", stderr: sentence });
});

test.each(["client.ts", "grpc.ts", "verifier/verifier.ts"])(
  "importing src/client/%s fails with the sentence",
  (file) => {
    const script = `await import("./src/client/${file}").catch(({ message }) => console.log(message))`;
    const { stdout } = runOnOldNode("--input-type=module", "-e", script);
    expect(stdout).toBe("sessiond needs Node.js 22.12 or newer, and this is 20.20.2.\n");
  },
);
