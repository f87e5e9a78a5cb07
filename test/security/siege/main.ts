// `npm run test:siege`: hostile clients against one process with default limits. Prints figures; exits with 1 if an ordinary client
// was not served or the memory bound was exceeded.
import { cpus } from "node:os";
import { besiege, maxResidentMegabytes } from "./siege.ts";

// Child processes end with this one.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));

console.log(`${cpus().length} cores, Node ${process.versions.node}`);
const outcomes = await besiege({
  scale: Number(process.argv[2] ?? 1),
  patient: true,
  report: ({ attack, connections, cut, before, peak, served, refused }) =>
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
