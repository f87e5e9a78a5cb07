import { setTimeout as delay } from "node:timers/promises";
import type { DeploymentOptions } from "../../chaos/processes/deployment.ts";
import type { Fault } from "../../chaos/processes/faults.ts";
import { runTrial } from "../../chaos/trial.ts";
import { Freeze } from "../patroni-faults.ts";
import { reportLoad, shortLoad } from "../report-load.ts";
import { PatroniCluster, type PatroniNode, patroniPackages } from "../systems/patroni.ts";
import type { InfrastructureTrial, Stage } from "../trial.ts";

/** Failovers by Patroni, under two replicas that know all three hosts. */
export const patroni: InfrastructureTrial = {
  name: "patroni",
  shows: "switchover, kills, a frozen manager (two primaries) and a frozen machine that thaws",
  packages: patroniPackages,
  minutes: 12,
  async run(stage) {
    const cluster = await PatroniCluster.start(stage.place, stage.started);
    const direct = (node: PatroniNode, database: string) => node.urlOf(database);
    await failOver(stage, cluster, { urlOf: (database) => cluster.urlOf(database), urlOfNew: direct });
  },
};

export interface Paths {
  /** URL of a database for the replicas. */
  urlOf(database: string): string;
  /** For a replica that starts while there are two primaries. */
  urlOfNew(node: PatroniNode, database: string): string;
}

/** Runs load over each kind of failover. */
export async function failOver({ report, say }: Stage, cluster: PatroniCluster, paths: Paths): Promise<void> {
  say("the cluster is healthy");
  const parts: Readonly<Record<string, Fault>> = {
    switchover: { name: "switchover", run: () => cluster.switchOver() },
    "kill of PostgreSQL": killPostgres(cluster),
    "kill of Patroni and PostgreSQL": killNode(cluster),
  };
  let count = 0;
  const run = async (fault: Fault) => {
    const setup = await setupOf(cluster, `part_${count++}`, paths);
    return runTrial({ ...shortLoad, ...setup, faults: [fault], log: say });
  };
  for (const [part, fault] of Object.entries(parts)) reportLoad(report, part, await run(fault));
  const freezes = {
    "frozen manager": Freeze.manager(cluster, (node, database) => paths.urlOfNew(node, database)),
    "frozen machine": Freeze.machine(cluster),
  };
  for (const [part, freeze] of Object.entries(freezes)) {
    const seen = await run(freeze);
    reportLoad(report, ...freeze.judged(part, seen));
  }
}

async function setupOf(cluster: PatroniCluster, database: string, paths: Paths): Promise<DeploymentOptions> {
  await cluster.healthy();
  await cluster.sqlIn("postgres")(`create database ${database}`);
  return {
    replicas: 2,
    database: {
      url: paths.urlOf(database),
      sql: cluster.sqlIn(database),
      crash: async () => (await cluster.leader()).killPostgres(),
    },
  };
}

function killPostgres(cluster: PatroniCluster): Fault {
  return {
    name: "the leader's PostgreSQL is killed (SIGKILL)",
    async run() {
      (await cluster.leader()).killPostgres();
      await delay(1000);
      await cluster.healthy();
    },
  };
}

function killNode(cluster: PatroniCluster): Fault {
  return {
    name: "Patroni and PostgreSQL of the leader are killed (SIGKILL)",
    async run() {
      const leader = await cluster.leader();
      await leader.killManager();
      leader.killPostgres();
      await cluster.leader(leader);
      leader.startManager();
      await cluster.healthy();
    },
  };
}
