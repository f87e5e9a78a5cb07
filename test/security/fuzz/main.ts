// `npm run test:fuzz [inputs] [seed]`: a million generated inputs by default. Prints figures, and the smallest input of each
// finding; exits with 1 if there are any. The seed repeats the inputs.
import { randomInt } from "node:crypto";
import { cpus } from "node:os";
import { fuzzParsers } from "./parsers.ts";
import { fuzzWire } from "./wire.ts";

// Child processes end with this one.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));

const inputs = Number(process.argv[2] ?? 1_000_000);
const seed = Number(process.argv[3] ?? randomInt(2 ** 31));
console.log(`${cpus().length} cores, Node ${process.versions.node}, seed ${seed}`);
const parsed = fuzzParsers({ seed, inputs: inputs * 0.8 });
console.log(parsed);
const { suspicious, ...figures } = await fuzzWire({ seed, inputs: inputs * 0.25, lanes: 32 });
console.log(figures);
for (const line of suspicious.slice(0, 10)) console.log(line);
const total = Object.values(parsed).reduce((sum, count) => sum + count, figures.inputs);
console.log(
  `${total} inputs in ${Math.round(process.uptime())} seconds, ${suspicious.length} suspicious lines`,
);
process.exit(suspicious.length > 0 ? 1 : 0);
