// `npm run test:faults [operations]`: prints figures; exits with 1 if a promise was broken.
import { cpus } from "node:os";
import {
  type Fault,
  crashBoth,
  crashDatabase,
  cutConnections,
  cutListeners,
  freezeReplica,
  freezeVerifier,
  killReplica,
} from "./processes/faults.ts";
import { sleepPastRetention } from "./checks/retention.ts";
import { type Report, runTrial } from "./trial.ts";

// Child processes end with this one.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));

const log = (line: string) => console.log(line);
const size = {
  replicas: 2,
  clients: 32,
  watchers: 6,
  verifiers: 3,
  maxStaleness: 2000,
  timeoutMs: 20 * 60_000,
  log,
};
let problemCount = 0;

function report(problems: readonly string[]): void {
  problemCount += problems.length;
  for (const problem of problems.slice(0, 10)) console.log(problem);
}

function show({ violations, problems, logProblems, history, ...figures }: Report): void {
  console.log({ ...figures, operations: history.length });
  report([...violations.map((violation) => JSON.stringify(violation)), ...problems, ...logProblems]);
}

console.log(`${cpus().length} cores, Node ${process.versions.node}`);
console.log("all faults in turn");
const everything = await runTrial({
  ...size,
  operations: Number(process.argv[2] ?? 100_000),
  pauseMs: () => 3000,
  faults: [
    killReplica(1000),
    crashDatabase,
    cutListeners,
    freezeReplica(4000),
    freezeVerifier(3000),
    cutConnections,
    killReplica(200),
    crashDatabase,
    freezeReplica(8000),
    freezeVerifier(5000),
    cutListeners,
  ],
});
show(everything);

console.log("kills at random moments");
const kill = killReplica(0);
const turns: readonly Fault[] = [kill, kill, crashDatabase, kill, kill, crashBoth, kill, crashDatabase];
const kills = await runTrial({
  ...size,
  operations: 0,
  pauseMs: () => 1000 * Math.random(),
  faults: Array.from({ length: 10 }, () => turns).flat(),
});
show(kills);

console.log("a verifier sleeps past retention");
const { revoked, alive, resynchronised } = await sleepPastRetention(1000, 20_000);
const awake = revoked.every(({ ok }) => !ok) && alive?.ok === true && resynchronised > 0;
report(awake ? [] : ["a verifier that slept past retention did not recover as promised"]);

console.log(`${problemCount} problems`);
process.exit(problemCount > 0 ? 1 : 0);
