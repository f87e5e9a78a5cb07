// The long trial: `npm run test:faults [operations]`. Prints figures; exits 1 when anything was not as promised.
import { cpus } from "node:os";
import {
  crashDatabase,
  cutConnections,
  cutListeners,
  freezeReplica,
  freezeVerifier,
  killReplica,
} from "./faults.ts";
import { sleepPastRetention } from "./retention.ts";
import { runTrial } from "./trial.ts";

// A process that is told to end exits, which ends everything that it started.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));

console.log(`${cpus().length} cores, Node ${process.versions.node}`);
const report = await runTrial({
  replicas: 2,
  clients: 32,
  watchers: 6,
  verifiers: 3,
  maxStaleness: 2000,
  operations: Number(process.argv[2] ?? 100_000),
  within: 20 * 60_000,
  calm: 3000,
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
  tell: (line) => console.log(line),
});
const { violations, wrong, ...figures } = report;
console.log("a verifier sleeps past retention");
const { revoked, alive, resynchronised } = await sleepPastRetention(1000, 20_000);
const awake = revoked.every(({ ok }) => !ok) && alive?.ok === true && resynchronised > 0;
const faults = awake ? wrong : [...wrong, "a verifier that slept past retention did not recover as promised"];
console.log(figures);
for (const violation of violations.slice(0, 5)) console.log(JSON.stringify(violation));
for (const words of faults.slice(0, 10)) console.log(words);
console.log(`${violations.length} violations, ${faults.length} other faults`);
process.exit(violations.length + faults.length > 0 ? 1 : 0);
