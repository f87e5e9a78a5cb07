// `npm run bench:propagation [revocations]`: how long after Revoke has returned a verifier in another process refuses the
// session's JWT, with one watcher and with 1,000 on the same replica. Prints a table and JSON.
import { once } from "node:events";
import { availableParallelism, cpus, release, type } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { startChild } from "../../support/process/child.ts";
import { type Deployment, startDeployment } from "../../resilience/chaos/processes/deployment.ts";
import { monotonic } from "../../resilience/chaos/history.ts";
import { type Quantiles, quantiles } from "../../resilience/chaos/checks/quantiles.ts";
import type { VerifierProcess } from "../../resilience/chaos/processes/verifier.ts";

/** Milliseconds from the return of Revoke. */
interface Figures {
  readonly watchers: number;
  /** To the refusal in the verifier, which is the last that joined. */
  readonly refused: Quantiles;
  /** To the receipt by the last of all other watchers. */
  readonly lastHeard?: Quantiles;
}

/** Revocations before those that count, while everything gets warm. */
const warmUp = 50;

async function measure(deployment: Deployment, watchers: number, revocations: number): Promise<Figures> {
  const crowd = watchers > 1 ? await startCrowd(deployment, watchers - 1) : undefined;
  const verifier = await deployment.startVerifier("refuse", 5000);
  const sessions = deployment.replicas[0]?.connect(10_000);
  if (sessions === undefined) throw new Error("there is no replica");
  const refused: number[] = [];
  const lastHeard: number[] = [];
  try {
    for (let i = -warmUp; i < revocations; i++) {
      const { session, jwt } = await sessions.create({ memberId: "bench" });
      const id = session?.id ?? "";
      verifier.expect({ id, jwt });
      // Verified once, as a session in use would have been; answered after what was said before.
      verifier.ask({ id, jwt });
      await verifier.answered(5000);
      const all = crowd?.next();
      const { revision } = await sessions.revoke({ target: { case: "id", value: id } });
      const returned = monotonic();
      const heard = await heardAt(verifier, Number(revision));
      const last = await all;
      if (i < 0) continue;
      // Refused already when Revoke returned: nothing is left to wait for.
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
  throw new Error(`the verifier has not refused a session that revision ${revision} ended`);
}

async function startCrowd({ options, replicas }: Deployment, size: number) {
  const { projectId, secret } = options;
  const basic = `Basic ${Buffer.from(`${projectId}:${secret}`).toString("base64")}`;
  const child = startChild(
    "test/bench/micro/crowd-process.ts",
    [replicas[0]?.url ?? "", basic, String(size)],
    {},
  );
  const message = async (): Promise<{ readonly at?: number }> => {
    const [first] = await Promise.race([once(child.process, "message"), child.ended.then(() => [])]);
    if (first === undefined) throw new Error(`the watchers ended: ${child.errorLines.join("\n")}`);
    return first;
  };
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
const deployment = await startDeployment(1);
try {
  const figures = [await measure(deployment, 1, revocations), await measure(deployment, 1000, revocations)];
  const machine = `${availableParallelism()} cores (${cpus()[0]?.model.trim()}), ${type()} ${release()}, Node ${process.versions.node}`;
  console.log(
    `Milliseconds from the return of Revoke to the refusal in a verifier in another process; ${machine}`,
  );
  console.table(figures.map(rowOf));
  console.log(JSON.stringify({ machine, unit: "ms", figures }));
} finally {
  await deployment.stop();
}
process.exit(0);
