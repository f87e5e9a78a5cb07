import { setTimeout as delay } from "node:timers/promises";
import { type Violation, checkHistory } from "./checks/check-history.ts";
import { type LogRow, checkLineage, checkStored } from "./checks/check-log.ts";
import { type Deployment, startDeployment } from "./processes/deployment.ts";
import type { Fault } from "./processes/faults.ts";
import { type Acknowledged, Load } from "./load.ts";
import { monotonic } from "./monotonic.ts";
import { below } from "./population.ts";
import { type Quantiles, quantiles } from "./checks/quantiles.ts";
import type { Recorder } from "./recorder.ts";
import type { VerifierProcess } from "./processes/verifier.ts";
import { checkVerifier } from "./checks/check-verifier.ts";
import { Watcher } from "./watcher.ts";

/** How large a trial is. Times in milliseconds. */
export interface TrialOptions {
  readonly replicas: number;
  readonly clients: number;
  readonly watchers: number;
  readonly verifiers: number;
  /** The bound of the verifiers. */
  readonly maxStaleness: number;
  /** The load goes on until so many operations are recorded and every fault has happened. */
  readonly operations: number;
  /** And ends, short of them, after this time. */
  readonly within: number;
  /** In this order, at one replica after the other. */
  readonly faults: readonly Fault[];
  /** How long it is quiet between two faults, and before the first. */
  readonly calm: () => number;
  /** Told what goes on. */
  readonly tell?: (line: string) => void;
}

/** What a trial showed. */
export interface Report {
  readonly operations: number;
  readonly calls: number;
  readonly seconds: number;
  readonly revocations: number;
  /** How often what went wrong. */
  readonly faults: Partial<Record<string, number>>;
  /** Calls with an unknown outcome, by code. */
  readonly failures: Partial<Record<string, number>>;
  /** Verdicts of verifiers, by what they said. */
  readonly verdicts: Partial<Record<string, number>>;
  /** What happened to verifiers. */
  readonly verifierEvents: Partial<Record<string, number>>;
  /** Milliseconds from the return of Revoke to the refusal of the session's JWT in a verifier. */
  readonly propagation: Quantiles;
  /** Streams of watchers, by how they ended. */
  readonly streams: Partial<Record<string, number>>;
  readonly violations: readonly Violation[];
  /** Everything else that is wrong, in words. */
  readonly wrong: readonly string[];
}

/** Loads a service of its own while things go wrong, and checks afterwards what it promises. */
export async function runTrial(options: TrialOptions): Promise<Report> {
  const deployment = await startDeployment(options.replicas);
  try {
    return await tryOut(deployment, options);
  } finally {
    await deployment.stop();
  }
}

async function tryOut(deployment: Deployment, options: TrialOptions): Promise<Report> {
  const { replicas } = deployment;
  const watchers = Array.from({ length: options.watchers }, () => new Watcher(replicas));
  const verifiers = await startVerifiers(deployment, options);
  const acknowledged: Acknowledged[] = [];
  const began = monotonic();
  const load = new Load({
    replicas,
    clients: options.clients,
    onUsed: (session) => verifiers[below(verifiers.length)]?.ask(session),
    onRevoking: (session) => verifiers.forEach((verifier) => verifier.expect(session)),
    onRevoked: (revocation, session) => {
      acknowledged.push(revocation);
      if (session !== undefined) verifiers.forEach((verifier) => verifier.ask(session));
    },
  });
  const { recorder } = load;
  try {
    await makeTrouble(deployment, verifiers, options);
    await reach(options, recorder, began);
  } finally {
    await load.stop();
  }
  const seconds = (monotonic() - began) / 1000;
  const log = await readLog(deployment);
  const late = await waitFor(watchers, log.at(-1)?.revision ?? 0);
  for (const watcher of watchers) await watcher.stop();
  for (const verifier of verifiers) {
    if (!(await verifier.settled(catchUpWithin))) late.push("a verifier does not answer any more");
  }
  const lineages = watchers.flatMap((watcher) => watcher.lineages);
  const { history } = recorder;
  return {
    operations: history.length,
    calls: recorder.calls,
    seconds,
    revocations: log.length,
    faults: sum(options.faults.map(({ name }) => ({ [name]: 1 }))),
    failures: recorder.failures,
    verdicts: countVerdicts(verifiers),
    verifierEvents: sum(verifiers.map(({ events }) => events)),
    propagation: quantiles(propagations(acknowledged, verifiers)),
    streams: sum(watchers.map(({ endings }) => endings)),
    violations: checkHistory(history),
    wrong: [
      ...late,
      ...(history.length < options.operations ? [`only ${history.length} operations in the time given`] : []),
      ...Object.keys(recorder.failures)
        .filter((failure) => !excusable.test(failure))
        .map((failure) => `calls failed with ${failure}`),
      ...checkStored(history, log, await readSessions(deployment), deployment.options.projectId),
      ...lineages.flatMap((lineage) => checkLineage(lineage, log, history)),
      ...verifiers.flatMap(({ looks, maxStaleness }) => checkVerifier(looks, history, maxStaleness)),
      ...[...replicas, ...verifiers].flatMap(({ surprises }) =>
        surprises.map((words) => `a process ended by itself: ${words}`),
      ),
    ],
  };
}

async function startVerifiers(
  deployment: Deployment,
  { verifiers, maxStaleness }: TrialOptions,
): Promise<readonly VerifierProcess[]> {
  const started: VerifierProcess[] = [];
  for (let i = 0; i < verifiers; i++) {
    started.push(await deployment.startVerifier(i % 2 === 0 ? "ask" : "refuse", maxStaleness));
  }
  return started;
}

async function makeTrouble(
  deployment: Deployment,
  verifiers: readonly VerifierProcess[],
  { faults, calm, tell }: TrialOptions,
): Promise<void> {
  await delay(calm());
  for (const [turn, fault] of faults.entries()) {
    const replica = deployment.replicas[turn % deployment.replicas.length];
    const verifier = verifiers[turn % verifiers.length];
    if (replica === undefined || verifier === undefined) return;
    tell?.(fault.name);
    await fault.run({ deployment, replica, verifier });
    await delay(calm());
  }
}

async function reach(
  { operations, within, tell }: TrialOptions,
  { history }: Recorder,
  began: number,
): Promise<void> {
  for (let told = 0; history.length < operations && monotonic() - began < within;) {
    await delay(50);
    if (history.length < told + 10_000) continue;
    told = history.length;
    tell?.(`${told} operations`);
  }
}

/** What a call may fail with, without having said anything, while things go wrong; all else is a fault of the service. */
const excusable =
  /^(Unavailable( DATABASE_UNAVAILABLE)?|DeadlineExceeded( DEADLINE_EXCEEDED)?|Canceled|Aborted)$/;

/** How long watchers may take to catch up once the load has ended, in milliseconds. */
const catchUpWithin = 20_000;

async function waitFor(watchers: readonly Watcher[], revision: number): Promise<string[]> {
  const until = monotonic() + catchUpWithin;
  const behind = () => watchers.filter((watcher) => watcher.revision < revision);
  while (behind().length > 0 && monotonic() < until) await delay(20);
  return behind().map((watcher) => `a watcher stays at revision ${watcher.revision} of ${revision}`);
}

async function readLog({ sql, options }: Deployment): Promise<readonly LogRow[]> {
  return sql<LogRow>(
    `select revision::int as revision, scope, target_id, except_session_id
     from revocations where project_id = $1 order by revision`,
    options.projectId,
  );
}

/** What each session is worth by the tables that Authenticate reads. */
async function readSessions({ sql, options }: Deployment): Promise<ReadonlyMap<string, "alive" | "dead">> {
  const rows = await sql<{ id: string; dead: boolean }>(
    `select s.id, s.revoked_revision is not null or exists (
        select from cutoffs c where c.project_id = s.project_id and c.revision > s.created_revision
          and (c.scope, c.target_id) in
            (('member', s.member_id), ('organization', s.organization_id), ('project', s.project_id))
      ) as dead
     from sessions s where s.project_id = $1`,
    options.projectId,
  );
  return new Map(rows.map(({ id, dead }) => [id, dead ? "dead" : "alive"]));
}

/** Of each revocation that ended a session by name, to each verifier; 0 where it was refused before Revoke returned. */
function propagations(
  acknowledged: readonly Acknowledged[],
  verifiers: readonly VerifierProcess[],
): readonly number[] {
  return verifiers.flatMap((verifier) =>
    acknowledged.flatMap(({ ending, revision, at }) => {
      const heardAt = verifier.refused.has(revision) ? verifier.heard.get(revision) : undefined;
      return ending.scope === "session" && heardAt !== undefined ? [Math.max(0, heardAt - at)] : [];
    }),
  );
}

function countVerdicts(verifiers: readonly VerifierProcess[]): Partial<Record<string, number>> {
  const said = verifiers.flatMap(({ looks }) =>
    looks.map(({ verdict }) =>
      verdict.ok ? { [`accepted by the ${verdict.answeredBy}`]: 1 } : { [verdict.reason]: 1 },
    ),
  );
  return sum(said);
}

function sum(counts: readonly Partial<Record<string, number>>[]): Partial<Record<string, number>> {
  const total: Partial<Record<string, number>> = {};
  for (const count of counts) {
    for (const [name, value] of Object.entries(count)) total[name] = (total[name] ?? 0) + (value ?? 0);
  }
  return total;
}
