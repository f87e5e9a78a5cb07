// The long trials: `npm run test:faults [operations]`. Prints figures; exits 1 when anything was not as promised.
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

// A process that is told to end exits, which ends everything that it started.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));

const tell = (line: string) => console.log(line);
const size = {
  replicas: 2,
  clients: 32,
  watchers: 6,
  verifiers: 3,
  maxStaleness: 2000,
  within: 20 * 60_000,
  tell,
};
let faults = 0;

/** Counts and shows what was not as promised. */
function judge(wrong: readonly string[]): void {
  faults += wrong.length;
  for (const words of wrong.slice(0, 10)) console.log(words);
}

function show({ violations, wrong, ...figures }: Report): void {
  console.log(figures);
  judge([...violations.map((violation) => JSON.stringify(violation)), ...wrong]);
}

console.log(`${cpus().length} cores, Node ${process.versions.node}`);
console.log("everything that can go wrong");
const everything = await runTrial({
  ...size,
  operations: Number(process.argv[2] ?? 100_000),
  calm: () => 3000,
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
  calm: () => 1000 * Math.random(),
  faults: Array.from({ length: 10 }, () => turns).flat(),
});
show(kills);

console.log("a verifier sleeps past retention");
const { revoked, alive, resynchronised } = await sleepPastRetention(1000, 20_000);
const awake = revoked.every(({ ok }) => !ok) && alive?.ok === true && resynchronised > 0;
judge(awake ? [] : ["a verifier that slept past retention did not recover as promised"]);

console.log(`${faults} faults`);
process.exit(faults > 0 ? 1 : 0);
