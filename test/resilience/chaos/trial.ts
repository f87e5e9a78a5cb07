import { setTimeout as delay } from "node:timers/promises";
import { type Violation, checkHistory } from "./checks/check-history.ts";
import { checkOneHistory, checkStored, checkWatchedLog } from "./checks/check-log.ts";
import { readLog, readSessions } from "./checks/read-database.ts";
import type { Verdict } from "../../../src/client/verifier/verifier.ts";
import { type Deployment, type DeploymentOptions, startDeployment } from "./processes/deployment.ts";
import type { Fault, FaultTargets } from "./processes/faults.ts";
import { Callers, type Waiting } from "./callers.ts";
import { type Acknowledged, Load } from "./load.ts";
import { type Operation, monotonic } from "./history.ts";
import { below } from "./population.ts";
import { type Quantiles, quantiles } from "./checks/quantiles.ts";
import type { Recorder } from "./recorder.ts";
import type { VerifierProcess } from "./processes/verifier.ts";
import { checkVerifier } from "./checks/check-verifier.ts";
import { Watcher } from "./watcher.ts";

/** Size of a trial. Times in milliseconds. */
export interface TrialOptions {
  readonly clients: number;
  /** Pause of a client between two operations. Default: none. */
  readonly thinkMs?: number;
  readonly watchers: number;
  /** How many to start, or those that the caller has started. */
  readonly verifiers: number | readonly VerifierProcess[];
  readonly maxStaleness: number;
  /** The load ends when this many operations are recorded and every fault was injected... */
  readonly operations: number;
  /** ... or after this time. */
  readonly timeoutMs: number;
  /** Injected in this order, into each replica in turn. */
  readonly faults: readonly Fault[];
  /** Failures that the faults explain, besides those of an unavailable service. */
  readonly expectedFailures?: readonly string[];
  /** Pause before, between and after faults. */
  readonly pauseMs: () => number;
  readonly log?: (line: string) => void;
}

export interface Report {
  readonly calls: number;
  readonly seconds: number;
  readonly revocations: number;
  readonly faults: Partial<Record<string, number>>;
  readonly failures: Partial<Record<string, number>>;
  readonly verdicts: Partial<Record<string, number>>;
  readonly verifierEvents: Partial<Record<string, number>>;
  /** Milliseconds from the return of Revoke to the refusal in a verifier. */
  readonly propagation: Quantiles;
  readonly waiting: Waiting;
  readonly streams: Partial<Record<string, number>>;
  readonly violations: readonly Violation[];
  readonly problems: readonly string[];
  readonly history: readonly Operation[];
  /** Differences between the final log and the answers that callers and watchers were given. */
  readonly logProblems: readonly string[];
}

/** Injects faults into a deployment under load, then checks its promises. */
export async function runTrial(options: TrialOptions & DeploymentOptions): Promise<Report> {
  const deployment = await startDeployment(options);
  try {
    return await runLoad(deployment, options);
  } finally {
    await deployment.stop();
  }
}

/** The same with a running deployment. */
export async function runLoad(deployment: Deployment, options: TrialOptions): Promise<Report> {
  const { replicas } = deployment;
  const watchers = Array.from({ length: options.watchers }, () => new Watcher(replicas));
  const verifiers = await startVerifiers(deployment, options);
  const acknowledged: Acknowledged[] = [];
  const began = monotonic();
  const load = new Load({
    replicas,
    clients: options.clients,
    ...(options.thinkMs === undefined ? {} : { thinkMs: options.thinkMs }),
    members: 200,
    organizations: 10,
    onUsed: (session) => verifiers[below(verifiers.length)]?.ask(session),
    onRevoking: (session) => verifiers.forEach((verifier) => verifier.expect(session)),
    onRevoked: (revocation, session) => {
      acknowledged.push(revocation);
      if (session !== undefined) verifiers.forEach((verifier) => verifier.ask(session));
    },
  });
  const { recorder } = load;
  const callers = new Callers(replicas, recorder);
  let waiting: Waiting;
  try {
    await injectFaults({ deployment, recorder }, verifiers, options);
    await reach(options, recorder, began);
  } finally {
    await load.stop();
    waiting = await callers.stop();
  }
  const seconds = (monotonic() - began) / 1000;
  const log = await readLog(deployment);
  const late = await waitFor(watchers, log.at(-1)?.revision ?? 0);
  for (const watcher of watchers) await watcher.stop();
  const silent: string[] = [];
  for (const verifier of verifiers) {
    if (!(await verifier.answered(catchUpMs))) silent.push("a verifier stopped answering");
  }
  const logs = watchers.flatMap((watcher) => watcher.logs);
  const { history } = recorder;
  return {
    calls: recorder.calls,
    seconds,
    revocations: log.length,
    faults: sum(options.faults.map(({ name }) => ({ [name]: 1 }))),
    failures: recorder.failures,
    verdicts: countVerdicts(verifiers),
    verifierEvents: sum(verifiers.map(({ events }) => events)),
    propagation: quantiles(propagations(acknowledged, verifiers)),
    waiting,
    streams: sum(watchers.map(({ endings }) => endings)),
    history,
    violations: checkHistory(history),
    problems: [
      ...silent,
      ...(history.length < options.operations ? [`only ${history.length} operations in the time given`] : []),
      ...Object.keys(recorder.failures)
        .filter((failure) => !expectedFailures.test(failure) && !options.expectedFailures?.includes(failure))
        .map((failure) => `calls failed with ${failure}`),
      ...logs.flatMap((watched) => checkOneHistory(watched, history)),
      ...verifiers.flatMap((verifier) => checkVerifier(verifier, history)),
      ...[...replicas, ...verifiers].flatMap(({ unexpectedExits }) =>
        unexpectedExits.map((errors) => `a process ended unexpectedly: ${errors}`),
      ),
    ],
    logProblems: [
      ...late,
      ...checkStored(history, log, await readSessions(deployment), deployment.options.projectId),
      ...logs.flatMap((watched) => checkWatchedLog(watched, log, history)),
    ],
  };
}

async function startVerifiers(
  deployment: Deployment,
  { verifiers, maxStaleness }: TrialOptions,
): Promise<readonly VerifierProcess[]> {
  if (typeof verifiers !== "number") return verifiers;
  const started: VerifierProcess[] = [];
  for (let i = 0; i < verifiers; i++) {
    started.push(await deployment.startVerifier(i % 2 === 0 ? "ask" : "refuse", maxStaleness));
  }
  return started;
}

async function injectFaults(
  { deployment, recorder }: Pick<FaultTargets, "deployment" | "recorder">,
  verifiers: readonly VerifierProcess[],
  { faults, pauseMs, log }: TrialOptions,
): Promise<void> {
  await delay(pauseMs());
  for (const [turn, fault] of faults.entries()) {
    const replica = deployment.replicas[turn % deployment.replicas.length];
    const verifier = verifiers[turn % verifiers.length];
    if (replica === undefined || verifier === undefined) return;
    log?.(fault.name);
    await fault.run({ deployment, replica, verifier, recorder });
    await delay(pauseMs());
  }
}

async function reach(
  { operations, timeoutMs, log }: TrialOptions,
  { history }: Recorder,
  began: number,
): Promise<void> {
  for (let reported = 0; history.length < operations && monotonic() - began < timeoutMs;) {
    await delay(50);
    if (history.length < reported + 10_000) continue;
    reported = history.length;
    log?.(`${reported} operations`);
  }
}

/** Failures that faults explain. Any other failure is a problem. */
const expectedFailures =
  /^(Unavailable( DATABASE_UNAVAILABLE)?|DeadlineExceeded( DEADLINE_EXCEEDED)?|Canceled|Aborted)$/;

/** Time limit for watchers to catch up after the load, in milliseconds. */
const catchUpMs = 20_000;

async function waitFor(watchers: readonly Watcher[], revision: number): Promise<string[]> {
  const until = monotonic() + catchUpMs;
  const behind = () => watchers.filter((watcher) => watcher.revision < revision);
  while (behind().length > 0 && monotonic() < until) await delay(20);
  return behind().map((watcher) => `a watcher stays at revision ${watcher.revision} of ${revision}`);
}

/** Propagation of revocations by session id, to each verifier. 0 if the verifier refused before Revoke returned. */
function propagations(
  acknowledged: readonly Acknowledged[],
  verifiers: readonly VerifierProcess[],
): readonly number[] {
  return verifiers.flatMap((verifier) =>
    acknowledged.flatMap(({ ending, revision, at }) => {
      const receivedAt = verifier.refused.has(revision) ? verifier.received.get(revision) : undefined;
      return ending.scope === "session" && receivedAt !== undefined ? [Math.max(0, receivedAt - at)] : [];
    }),
  );
}

function countVerdicts(verifiers: readonly VerifierProcess[]): Partial<Record<string, number>> {
  const verdicts = verifiers.flatMap(({ observations }) => observations.map(({ verdict }) => verdict));
  const nameOf = (verdict: Verdict) =>
    verdict.ok ? `accepted by the ${verdict.answeredBy}` : verdict.reason;
  return sum(verdicts.map((verdict) => ({ [nameOf(verdict)]: 1 })));
}

function sum(counts: readonly Partial<Record<string, number>>[]): Partial<Record<string, number>> {
  const total: Partial<Record<string, number>> = {};
  for (const count of counts) {
    for (const [name, value] of Object.entries(count)) total[name] = (total[name] ?? 0) + (value ?? 0);
  }
  return total;
}
