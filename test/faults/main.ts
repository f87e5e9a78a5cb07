// The long trial: `npm run test:faults`. Prints figures; exits 1 when anything was not as promised.
import {
  crashDatabase,
  cutConnections,
  cutListeners,
  freezeReplica,
  freezeVerifier,
  killReplica,
} from "./faults.ts";
import { runTrial } from "./trial.ts";

// A process that is told to end exits, which ends everything that it started.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));

const report = await runTrial({
  replicas: 2,
  clients: 32,
  watchers: 6,
  verifiers: 3,
  maxStaleness: 2000,
  operations: Number(process.env["OPERATIONS"] ?? 100_000),
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
console.log(figures);
console.log(JSON.stringify(violations.slice(0, 5), undefined, 1), wrong.slice(0, 10));
console.log(`${violations.length} violations, ${wrong.length} other faults`);
process.exit(violations.length + wrong.length > 0 ? 1 : 0);
