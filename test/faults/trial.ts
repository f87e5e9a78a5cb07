import { setTimeout as delay } from "node:timers/promises";
import { type Violation, checkHistory } from "./check-history.ts";
import { type LogRow, checkLineage, checkStored } from "./check-log.ts";
import { type Deployment, startDeployment } from "./deployment.ts";
import type { Fault } from "./faults.ts";
import { Load } from "./load.ts";
import { monotonic } from "./monotonic.ts";
import { Watcher } from "./watcher.ts";

/** How large a trial is. Times in milliseconds. */
export interface TrialOptions {
  readonly replicas: number;
  readonly clients: number;
  readonly watchers: number;
  /** The load goes on until so many operations are recorded and every fault has happened. */
  readonly operations: number;
  /** In this order, at one replica after the other. */
  readonly faults: readonly Fault[];
  /** Between two faults, and before the first. */
  readonly calm: number;
  /** Told what goes on. */
  readonly tell?: (line: string) => void;
}

/** What a trial showed. */
export interface Report {
  readonly operations: number;
  readonly calls: number;
  readonly seconds: number;
  readonly revocations: number;
  /** Calls with an unknown outcome, by code. */
  readonly failures: Partial<Record<string, number>>;
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
  const began = monotonic();
  const load = new Load({ replicas, clients: options.clients });
  const { recorder } = load;
  try {
    await makeTrouble(deployment, options);
    while (recorder.history.length < options.operations) await delay(50);
  } finally {
    await load.stop();
  }
  const seconds = (monotonic() - began) / 1000;
  const log = await readLog(deployment);
  const late = await waitFor(watchers, log.at(-1)?.revision ?? 0);
  for (const watcher of watchers) await watcher.stop();
  const lineages = watchers.flatMap((watcher) => watcher.lineages);
  const { history } = recorder;
  return {
    operations: history.length,
    calls: recorder.calls,
    seconds,
    revocations: log.length,
    failures: recorder.failures,
    streams: sum(watchers.map(({ endings }) => endings)),
    violations: checkHistory(history),
    wrong: [
      ...late,
      ...checkStored(history, log, await readSessions(deployment), deployment.options.projectId),
      ...lineages.flatMap((lineage) => checkLineage(lineage, log, history)),
      ...replicas.flatMap(({ surprises }) => surprises.map((words) => `a replica ended by itself: ${words}`)),
    ],
  };
}

async function makeTrouble(deployment: Deployment, { faults, calm, tell }: TrialOptions): Promise<void> {
  await delay(calm);
  for (const [turn, fault] of faults.entries()) {
    const replica = deployment.replicas[turn % deployment.replicas.length];
    if (replica === undefined) return;
    tell?.(fault.name);
    await fault.run(deployment, replica);
    await delay(calm);
  }
}

/** How long watchers may take to catch up once the load has ended, in milliseconds. */
const catchUpWithin = 20_000;

async function waitFor(watchers: readonly Watcher[], revision: number): Promise<readonly string[]> {
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

function sum(counts: readonly Partial<Record<string, number>>[]): Partial<Record<string, number>> {
  const total: Partial<Record<string, number>> = {};
  for (const count of counts)
    for (const [name, value] of Object.entries(count)) total[name] = (total[name] ?? 0) + (value ?? 0);
  return total;
}
