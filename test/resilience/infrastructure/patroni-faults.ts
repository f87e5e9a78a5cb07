import { setTimeout as delay } from "node:timers/promises";
import type { Sessiond } from "../../../src/client/client.ts";
import type { Fault, FaultTargets } from "../chaos/processes/faults.ts";
import type { KnownSession } from "../chaos/population.ts";
import { Replica } from "../chaos/processes/replica.ts";
import type { Report } from "../chaos/trial.ts";
import type { PatroniCluster, PatroniNode } from "./systems/patroni.ts";

/** Prepares something before the leader is frozen. Returns what is done after another node was promoted. */
type Meanwhile = (targets: FaultTargets) => Promise<(promoted: PatroniNode) => Promise<void>>;

/** Freezes the leader until another node was promoted and something was done there, then thaws it. */
export class Freeze implements Fault {
  readonly name: string;
  readonly #cluster: PatroniCluster;
  readonly #isMachine: boolean;
  readonly #meanwhile: Meanwhile;
  #wentBack = false;

  private constructor(cluster: PatroniCluster, name: string, isMachine: boolean, meanwhile: Meanwhile) {
    this.#cluster = cluster;
    this.name = name;
    this.#isMachine = isMachine;
    this.#meanwhile = meanwhile;
  }

  /**
   * Patroni alone, so that the old PostgreSQL goes on: two primaries. A third replica revokes sessions on the new one, then the
   * others are asked about them.
   */
  static manager(
    cluster: PatroniCluster,
    urlOfThird: (promoted: PatroniNode, database: string) => string,
  ): Freeze {
    const name = "the leader's Patroni is frozen (SIGSTOP)";
    return new Freeze(cluster, name, false, async (targets) => {
      const { options } = targets.deployment;
      const victims = await createSessions(targets);
      const database = /[^/]*$/.exec(options.databaseUrl)?.[0] ?? "";
      return async (promoted) => {
        const third = new Replica({ ...options, databaseUrl: urlOfThird(promoted, database) });
        try {
          await third.start();
          await revokeAndAsk(targets, victims, third.connect(30_000));
        } finally {
          await third.kill();
        }
      };
    });
  }

  /** Patroni and PostgreSQL. */
  static machine(cluster: PatroniCluster): Freeze {
    const name = "Patroni and PostgreSQL of the leader are frozen (SIGSTOP)";
    return new Freeze(cluster, name, true, async () => () => delay(10_000));
  }

  async run(targets: FaultTargets): Promise<void> {
    const leader = await this.#cluster.leader();
    const meanwhile = await this.#meanwhile(targets);
    leader.freeze(this.#isMachine);
    try {
      await meanwhile(await this.#cluster.leader(leader));
    } finally {
      leader.thaw();
    }
    await delay(8000);
    await this.#cluster.healthy();
    this.#wentBack = (await this.#cluster.leader()) === leader;
  }

  /**
   * Without a watchdog a leader that thaws may take its key back, and Patroni discards what was committed meanwhile. Replicas that have
   * seen the newer timeline then refuse everything until they are restarted; only what they accepted counts.
   */
  judged(part: string, seen: Report): readonly [part: string, seen: Report] {
    if (!this.#wentBack) return [part, seen];
    return [
      `${part}; Patroni went back to the old leader and discarded commits`,
      { ...seen, logProblems: [] },
    ];
  }
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
