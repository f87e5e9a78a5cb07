import { setTimeout as delay } from "node:timers/promises";
import type { Sessiond } from "../../../../src/client/client.ts";
import type { DeploymentOptions } from "../../chaos/processes/deployment.ts";
import type { Fault, FaultTargets } from "../../chaos/processes/faults.ts";
import type { KnownSession } from "../../chaos/population.ts";
import { Replica } from "../../chaos/processes/replica.ts";
import { type Report, runTrial } from "../../chaos/trial.ts";
import { reportLoad, shortLoad } from "../report-load.ts";
import { PatroniCluster, type PatroniNode, patroniPackages } from "../systems/patroni.ts";
import type { InfrastructureTrial } from "../trial.ts";

/** Failovers by Patroni, under two replicas that know all three hosts. */
export const patroni: InfrastructureTrial = {
  name: "patroni",
  shows: "switchover, kills, a frozen manager (two primaries) and a frozen machine that thaws",
  packages: patroniPackages,
  minutes: 12,
  async run({ place, report, say, started }) {
    const cluster = await PatroniCluster.start(place, started);
    say("the cluster is healthy");
    const parts: Readonly<Record<string, Fault>> = {
      switchover: { name: "switchover", run: () => cluster.switchOver() },
      "kill of PostgreSQL": killPostgres(cluster),
      "kill of Patroni and PostgreSQL": killNode(cluster),
      "frozen manager": freezeManager(cluster, (node, database) => node.urlOf(database)),
    };
    let count = 0;
    for (const [part, fault] of Object.entries(parts)) {
      const setup = await setupOf(cluster, `part_${count++}`);
      reportLoad(report, part, await runTrial({ ...shortLoad, ...setup, faults: [fault], log: say }));
    }
    const freeze = new FrozenMachine(cluster);
    const setup = await setupOf(cluster, "machine");
    const seen = await runTrial({ ...shortLoad, ...setup, faults: [freeze], log: say });
    reportLoad(report, `frozen machine${freeze.outcome}`, freeze.wentBack ? withoutLog(seen) : seen);
  },
};

async function setupOf(cluster: PatroniCluster, database: string): Promise<DeploymentOptions> {
  await cluster.healthy();
  await cluster.sqlIn("postgres")(`create database ${database}`);
  return {
    replicas: 2,
    database: {
      url: cluster.urlOf(database),
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

/**
 * Freezes the leader's Patroni until another node is promoted, while the old PostgreSQL goes on: two primaries. A third replica revokes
 * sessions on the new one; then the first two are asked about them.
 */
export function freezeManager(
  cluster: PatroniCluster,
  urlOfThird: (promoted: PatroniNode, database: string) => string,
): Fault {
  return {
    name: "the leader's Patroni is frozen (SIGSTOP)",
    async run(targets) {
      const { deployment } = targets;
      const leader = await cluster.leader();
      const victims = await createSessions(targets);
      leader.freeze(false);
      try {
        const promoted = await cluster.leader(leader);
        const database = new URL(deployment.options.databaseUrl.replace(/,[^/]*/, "")).pathname.slice(1);
        const third = new Replica({ ...deployment.options, databaseUrl: urlOfThird(promoted, database) });
        try {
          await third.start();
          await revokeAndAsk(targets, victims, third.connect(30_000));
        } finally {
          await third.kill();
        }
      } finally {
        leader.thaw();
      }
      await cluster.healthy();
    },
  };
}

async function createSessions({ replica, recorder }: FaultTargets): Promise<readonly KnownSession[]> {
  const sessions = replica.connect(2000);
  const created: KnownSession[] = [];
  for (let i = 0; i < 20; i++) {
    const member = `victim-${i}`;
    const outcome = await recorder.attempt(() => sessions.create({ memberId: member }));
    if ("answer" in outcome) created.push(recorder.creation({ member, organization: "" }, outcome));
  }
  return created;
}

/** Revokes the sessions at one replica, and asks all others about them for ten seconds. */
async function revokeAndAsk(
  { deployment, recorder }: FaultTargets,
  victims: readonly KnownSession[],
  third: Sessiond["sessions"],
): Promise<void> {
  // The new primary waits for a standby, which may have to follow it first.
  for (let attempts = 0; attempts < 60; attempts++) {
    if ("answer" in (await recorder.attempt(() => third.create({ memberId: "third" })))) break;
    await delay(500);
  }
  for (const { id } of victims) {
    const outcome = await recorder.attempt(() => third.revoke({ target: { case: "id", value: id } }));
    if (!("answer" in outcome)) {
      throw new Error(`the third replica cannot revoke: ${JSON.stringify(outcome)}`);
    }
    recorder.revocation({ scope: "session", target: id }, outcome);
  }
  const others = deployment.replicas.map((replica) => replica.connect(1000));
  for (let round = 0; round < 20; round++) {
    await Promise.all(
      others.flatMap((sessions) =>
        victims.map(async ({ id, token: value }) => {
          const credential = { case: "token", value } as const;
          recorder.observation(
            id,
            "token",
            await recorder.attempt(() => sessions.authenticate({ credential })),
          );
        }),
      ),
    );
    await delay(500);
  }
}

/** Freezes Patroni and PostgreSQL of the leader; thaws them when another node was promoted and has served for a while. */
class FrozenMachine implements Fault {
  readonly name = "Patroni and PostgreSQL of the leader are frozen (SIGSTOP)";
  readonly #cluster: PatroniCluster;
  wentBack = false;

  constructor(cluster: PatroniCluster) {
    this.#cluster = cluster;
  }

  get outcome(): string {
    return this.wentBack ? ", Patroni went back to the old leader and discarded commits" : "";
  }

  async run(): Promise<void> {
    const leader = await this.#cluster.leader();
    leader.freeze(true);
    try {
      await this.#cluster.leader(leader);
      await delay(10_000);
    } finally {
      leader.thaw();
    }
    await delay(8000);
    await this.#cluster.healthy();
    this.wentBack = (await this.#cluster.leader()) === leader;
  }
}

/** If Patroni has discarded commits, replicas refuse everything until they are restarted; only what they accepted counts. */
function withoutLog(seen: Report): Report {
  return { ...seen, logProblems: [] };
}
