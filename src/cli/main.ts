#!/usr/bin/env node
import { nodeProblem } from "../transport/node-version.ts";

const problem = nodeProblem(process.versions.node);
if (problem === undefined) {
  // Imported after the check, because it needs a supported Node.js.
  const { runProgram } = await import("./program.ts");
  await runProgram(process.argv.slice(2));
} else {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
}
