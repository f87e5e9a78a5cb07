/**
 * Memory of a verifier per revoked session. Run in a process of its own, so that nothing else counts:
 * node --expose-gc test/bench/micro/verifier-memory.ts [revocations]. Aim: at most 150 bytes each.
 */
import { v7 } from "uuid";
import { RevocationIndex } from "../../../src/client/verifier/revocations/revocation-index.ts";

const count = Number(process.argv[2] ?? 1_000_000);
const until = Date.now() + 360_000;

/** Bytes on the heap and outside it, after garbage collection. */
function held(): number {
  if (globalThis.gc === undefined) throw new Error("start with node --expose-gc");
  for (let i = 0; i < 4; i++) globalThis.gc();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers);
}

const before = held();
const index = new RevocationIndex();
let slowest = 0;
let sample = "";
const start = performance.now();
for (let revision = 1; revision <= count; revision++) {
  const targetId = v7();
  const started = performance.now();
  index.apply({
    revision,
    scope: "session",
    targetId,
    exceptSessionId: undefined,
    revokedAt: 0,
    matterUntil: until,
  });
  slowest = Math.max(slowest, performance.now() - started);
  if (revision === count / 2) sample = targetId;
}
const took = performance.now() - start;
const bytes = (held() - before) / count;

const asked = performance.now();
const subject = { sessionId: sample, memberId: "ada", organizationId: "acme", revision: 0 };
for (let i = 0; i < 1_000_000; i++) {
  if (index.findRevocation(subject) === undefined) throw new Error("a revocation is missing");
}
const lookup = performance.now() - asked;

const forgetting = performance.now();
index.forget(until - 1);
index.forget(until + 5000);
const forgot = performance.now() - forgetting;

console.log(`bytes each           ${bytes.toFixed(1)}  (aim: at most 150), ${count} revoked sessions`);
console.log(
  `table alone          ${(index.sizes.sessionBytes / Math.max(1, index.sizes.sessions)).toFixed(1)}`,
);
console.log(
  `microseconds to add  ${((took / count) * 1000).toFixed(2)} including the id; slowest ${slowest.toFixed(1)} ms`,
);
console.log(`microseconds to find ${(lookup / 1000).toFixed(3)}`);
console.log(`ms to forget 1/32    ${forgot.toFixed(1)}`);
