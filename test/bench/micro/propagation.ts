// `npm run bench:propagation [revocations]`: time from the return of Revoke until a verifier in another process rejects the
// session's JWT, with one watcher and with 1,000 on the same replica. Prints a table and JSON.
import { setTimeout as delay } from "node:timers/promises";
import { startChild } from "../../support/process/child.ts";
import { type Deployment, startDeployment } from "../../resilience/chaos/processes/deployment.ts";
import { machine } from "../machine.ts";
import { monotonic } from "../../resilience/chaos/history.ts";
import { type Quantiles, quantiles } from "../../resilience/chaos/checks/quantiles.ts";
import type { VerifierProcess } from "../../resilience/chaos/processes/verifier.ts";

/** In milliseconds from the return of Revoke. */
interface Figures {
  readonly watchers: number;
  /** Until the verifier, which joined last, rejects the JWT. */
  readonly refused: Quantiles;
  /** Until the last of all other watchers has received the revocation. */
  readonly lastHeard?: Quantiles;
}

/** Revocations before the measured ones. */
const warmUp = 50;

async function measure(deployment: Deployment, watchers: number, revocations: number): Promise<Figures> {
  const crowd = watchers > 1 ? await startCrowd(deployment, watchers - 1) : undefined;
  const verifier = await deployment.startVerifier("refuse", 5000);
  const sessions = deployment.replicas[0]?.connect(10_000);
  if (sessions === undefined) throw new Error("no replica");
  const refused: number[] = [];
  const lastHeard: number[] = [];
  try {
    for (let i = -warmUp; i < revocations; i++) {
      const { session, jwt } = await sessions.create({ memberId: "bench" });
      const id = session?.id ?? "";
      verifier.expect({ id, jwt });
      // Verified once, like a session in use. The answer comes after those of earlier messages.
      verifier.ask({ id, jwt });
      await verifier.answered(5000);
      const all = crowd?.next();
      const { revision } = await sessions.revoke({ target: { case: "id", value: id } });
      const returned = monotonic();
      const heard = await heardAt(verifier, Number(revision));
      const last = await all;
      if (i < 0) continue;
      // 0 if the verifier rejected it before Revoke returned.
      refused.push(Math.max(0, heard - returned));
      if (last !== undefined) lastHeard.push(Math.max(0, last - returned));
      await delay(5);
    }
  } finally {
    await crowd?.stop();
    await verifier.stop();
  }
  return {
    watchers,
    refused: quantiles(refused),
    ...(lastHeard.length === 0 ? {} : { lastHeard: quantiles(lastHeard) }),
  };
}

async function heardAt(verifier: VerifierProcess, revision: number): Promise<number> {
  for (let waited = 0; waited < 10_000; waited++) {
    const at = verifier.received.get(revision);
    if (at !== undefined && verifier.refused.has(revision)) return at;
    await delay(1);
  }
  throw new Error(`the verifier does not reject the session that revision ${revision} revoked`);
}

async function startCrowd({ options, replicas }: Deployment, size: number) {
  const { projectId, secret } = options;
  const basic = `Basic ${Buffer.from(`${projectId}:${secret}`).toString("base64")}`;
  const child = startChild(
    "test/bench/micro/crowd-process.ts",
    [replicas[0]?.url ?? "", basic, String(size)],
    {},
  );
  const message = () => child.message<{ readonly at?: number }>();
  await message();
  return { next: async () => (await message()).at, stop: () => child.kill() };
}

function rowOf({ watchers, refused, lastHeard }: Figures): object {
  const { count, ...spread } = refused;
  return {
    watchers,
    revocations: count,
    ...spread,
    ...(lastHeard && { "all p50": lastHeard.p50, "all p99": lastHeard.p99, "all max": lastHeard.max }),
  };
}

for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));
const revocations = Number(process.argv[2] ?? 500);
const deployment = await startDeployment({ replicas: 1 });
try {
  const figures = [await measure(deployment, 1, revocations), await measure(deployment, 1000, revocations)];
  console.log(
    `Milliseconds from the return of Revoke to the rejection by a verifier in another process; ${machine()}`,
  );
  console.table(figures.map(rowOf));
  console.log(JSON.stringify({ machine: machine(), unit: "ms", figures }));
} finally {
  await deployment.stop();
}
process.exit(0);
