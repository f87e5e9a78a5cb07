// `npm run test:siege`: hostile clients against one process, with the default limits. Prints figures; exits 1 when an ordinary client
// was not served, or the memory bound was passed.
import { cpus } from "node:os";
import { maxResidentMegabytes } from "./bound.ts";
import { besiege } from "./siege.ts";

// A process that is told to end exits, which ends everything that it started.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));

console.log(`${cpus().length} cores, Node ${process.versions.node}`);
const outcomes = await besiege({
  scale: Number(process.argv[2] ?? 1),
  patient: true,
  tell: ({ attack, connections, cut, before, peak, served, refused }) =>
    console.log(
      `${attack}: ${cut} of ${connections} cut, ${before} → ${peak} MB, ${served} served`,
      ...refused,
    ),
});
const bad = outcomes.filter(({ peak, refused }) => refused.length > 0 || peak > maxResidentMegabytes);
console.log(
  `${outcomes.length} attacks, ${bad.length} got through, in ${Math.round(process.uptime())} seconds`,
);
process.exit(bad.length > 0 ? 1 : 0);
