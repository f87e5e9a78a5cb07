import { setTimeout as delay } from "node:timers/promises";
import { type Relay, startRelay } from "../../../support/postgres/relay.ts";
import { startChild } from "../../../support/process/child.ts";
import { type Span, monotonic } from "../../chaos/history.ts";
import { type Deployment, startDeployment } from "../../chaos/processes/deployment.ts";
import type { Fault, FaultTargets } from "../../chaos/processes/faults.ts";
import type { VerifierProcess } from "../../chaos/processes/verifier.ts";
import { runLoad } from "../../chaos/trial.ts";
import { reportLoad, shortLoad } from "../report-load.ts";
import { PostgresServer, postgresPackage } from "../systems/postgres-server.ts";
import type { InfrastructureTrial, Stage } from "../trial.ts";

const modes = ["plain", "overtaken"] as const;

/**
 * Restores a backup under running replicas and verifiers, and recovers it. Overtaken: a replica and verifiers look again only after
 * the restored log has more revocations than the one that they knew.
 */
export const restore: InfrastructureTrial = {
  name: "restore",
  shows: "a backup is restored under connected, disconnected and frozen verifiers, then recovered",
  packages: [postgresPackage],
  minutes: 10,
  async run(stage) {
    const server = await PostgresServer.start(stage.place, "postgres", stage.started);
    for (const mode of modes) await runMode(mode, server, stage);
  },
};

async function runMode(
  mode: (typeof modes)[number],
  server: PostgresServer,
  { report, say }: Stage,
): Promise<void> {
  const name = `trial_${mode}`;
  await server.sql(`create database ${name}`);
  const database = { url: server.urlOf(name), sql: server.sqlIn(name), crash: () => server.crash() };
  const deployment = await startDeployment({ replicas: 2, database });
  const relay = await startRelay(deployment.replicas[0]?.url ?? "");
  try {
    const { maxStaleness } = shortLoad;
    const kinds = {
      connected: await deployment.startVerifier("ask", maxStaleness),
      "connected, refusing": await deployment.startVerifier("refuse", maxStaleness),
      disconnected: await deployment.startVerifier("ask", maxStaleness, relay.url),
      frozen: await deployment.startVerifier("ask", maxStaleness),
    };
    const verifiers = Object.values(kinds);
    const asking = verifiers.filter((verifier) => verifier !== kinds["connected, refusing"]);
    const logins = new Logins(asking);
    const fault = restoreAndRecover(mode, server, name, { ...kinds, relay, logins }, say);
    // The recovery revokes the signing keys, and Revoke does not believe a JWT of a revoked key.
    const expectedFailures = ["InvalidArgument JWT_INVALID"];
    const options = { ...shortLoad, verifiers, faults: [fault], log: say, expectedFailures };
    const seen = await runLoad(deployment, options);
    const events = Object.entries(kinds).map(([kind, verifier]) => [kind, verifier.events]);
    // The log at the end is not that of the history.
    reportLoad(
      report,
      mode,
      { ...seen, logProblems: logins.problems },
      { events: Object.fromEntries(events) },
    );
  } finally {
    await relay.close();
    await deployment.stop();
  }
}

interface Parts {
  readonly frozen: VerifierProcess;
  readonly relay: Relay;
  readonly logins: Logins;
}

function restoreAndRecover(
  mode: (typeof modes)[number],
  server: PostgresServer,
  name: string,
  { frozen, relay, logins }: Parts,
  say: Stage["say"],
): Fault {
  return {
    name: `a backup is restored: ${mode}`,
    async run(targets) {
      const { deployment, recorder } = targets;
      const dump = await during(() => server.dump(name));
      await server.restore(dump.result, "restored");
      await delay(2000);
      const frozenParts = [frozen, ...(mode === "overtaken" ? [targets.replica] : [])];
      for (const part of frozenParts) part.freeze();
      relay.cut();
      const head = await headOf(deployment);
      const swapped = await during(() => swap(server, name));
      recorder.history.push({ kind: "restore", dump, start: swapped.start, end: swapped.end });
      say("the restored database is open");
      await delay(3000);
      if (mode === "overtaken") await overtake(deployment, head);
      relay.mend();
      for (const part of frozenParts) part.thaw();
      await delay(settleMs);
      await logins.check("before the recovery", targets);
      await recover(targets);
      say("recovered");
      await delay(settleMs);
      await logins.check("after the recovery", targets);
    },
  };
}

/** Milliseconds that verifiers and replicas have to connect again. */
const settleMs = 6000;

/** New logins, which verifiers that ask have to accept. */
class Logins {
  readonly problems: string[] = [];
  readonly #verifiers: readonly VerifierProcess[];

  constructor(verifiers: readonly VerifierProcess[]) {
    this.#verifiers = verifiers;
  }

  /** Creates sessions of members of their own, and asks the verifiers about them. */
  async check(when: string, { deployment, recorder }: FaultTargets): Promise<void> {
    const created = new Set<string>();
    for (const replica of deployment.replicas) {
      const sessions = replica.connect(5000);
      for (let i = 0; i < 10; i++) {
        const outcome = await recorder.attempt(() => sessions.create({ memberId: "new" }));
        if (!("answer" in outcome)) continue;
        const known = recorder.creation({ member: "new", organization: "" }, outcome);
        created.add(known.id);
        for (const verifier of this.#verifiers) verifier.ask(known);
      }
    }
    if (created.size < 10) this.problems.push(`${when}: only ${created.size} of 20 logins`);
    for (const verifier of this.#verifiers) {
      await verifier.answered(10_000);
      const verdicts = verifier.observations.filter(({ session }) => created.has(session));
      // The load may revoke some of them.
      const refused = verdicts.filter(({ verdict }) => !verdict.ok && verdict.reason !== "revoked");
      if (verdicts.length < created.size || refused.length > 0) {
        this.problems.push(
          `${when}: a verifier accepted ${verdicts.length - refused.length} of ${created.size} new logins: ${JSON.stringify(refused[0])}`,
        );
      }
    }
  }
}

async function during<T>(call: () => Promise<T>): Promise<Span & { readonly result: T }> {
  const start = monotonic();
  const result = await call();
  return { start, end: monotonic(), result };
}

/** Puts the database `restored` in the place of the running one. */
async function swap(server: PostgresServer, name: string): Promise<void> {
  await server.sql(`alter database ${name} with allow_connections false`);
  await server.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name);
  for (let left = 1; left > 0; await delay(10)) {
    const rows = await server.sql("select from pg_stat_activity where datname = $1", name);
    left = rows.length;
  }
  await server.sql(`alter database ${name} rename to ${name}_old`);
  await server.sql(`alter database restored rename to ${name}`);
}

async function headOf({ sql }: Deployment): Promise<number> {
  const [row] = await sql<{ head: number }>("select max(revision)::float8 as head from project_revisions");
  return row?.head ?? 0;
}

/** Waits until the restored log is longer than the one before. */
async function overtake(deployment: Deployment, head: number): Promise<void> {
  while ((await headOf(deployment)) < head + 5) await delay(100);
}

/** Stops the replicas, runs `sessiond recover` until it finds none, and starts them again. */
async function recover({ deployment, recorder }: FaultTargets): Promise<void> {
  const { replicas, options } = deployment;
  await Promise.all(replicas.map((replica) => replica.kill()));
  const start = monotonic();
  const environment = { DATABASE_URL: options.databaseUrl, SESSIOND_MASTER_KEY: options.masterKey };
  for (let attempts = 1; ; attempts++) {
    const child = startChild("src/cli/main.ts", ["recover", "--yes"], environment);
    await child.ended;
    if (child.process.exitCode === 0) break;
    if (attempts === 20) throw new Error(`sessiond recover fails: ${child.errorLines.join("\n")}`);
    await delay(1000);
  }
  recorder.history.push({ kind: "recovery", start, end: monotonic() });
  await Promise.all(replicas.map((replica) => replica.start()));
}
