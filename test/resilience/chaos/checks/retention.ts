import { setTimeout as delay } from "node:timers/promises";
import { startDeployment } from "../processes/deployment.ts";
import type { VerifierLook } from "../processes/verifier.ts";

/** What became of a verifier that slept while the log was cut off behind it. */
export interface Awakening {
  /** Everything it said, from its sleep on, about a session that was revoked meanwhile. */
  readonly revoked: readonly VerifierLook["verdict"][];
  /** What it said of a live session at last. */
  readonly alive: VerifierLook["verdict"] | undefined;
  /** How often it had to begin again with a snapshot. */
  readonly resynchronised: number;
}

/**
 * A verifier sleeps past its bound, its stream is cut and the log goes on; what it would have to resume after is removed, as
 * a purge does after retention, which is days. Then it wakes up.
 */
export async function sleepPastRetention(maxStaleness: number, within: number): Promise<Awakening> {
  const deployment = await startDeployment(1);
  try {
    const [replica] = deployment.replicas;
    if (replica === undefined) throw new Error("there is no replica");
    const verifier = await deployment.startVerifier("refuse", maxStaleness);
    const sessions = replica.connect(5000);
    const login = async (memberId: string) => {
      const { session, jwt } = await sessions.create({ memberId });
      return { id: session?.id ?? "", jwt };
    };
    const [forgotten, ended, alive] = [await login("ada"), await login("ben"), await login("cyd")];
    verifier.freeze();
    try {
      await replica.kill();
      await replica.start();
      const revoke = (id: string) => sessions.revoke({ target: { case: "id", value: id } });
      const { revision } = await revoke(forgotten.id);
      await revoke(ended.id);
      // Its session is as good as gone: nobody asks for it any more.
      await deployment.sql("delete from revocations where revision <= $1", String(revision));
      verifier.ask(ended);
      await delay(maxStaleness);
    } finally {
      verifier.thaw();
    }
    const last = (id: string) => verifier.looks.findLast(({ session }) => session === id)?.verdict;
    for (let waited = 0; waited < within && last(alive.id)?.ok !== true; waited += 20) {
      verifier.ask(ended);
      verifier.ask(alive);
      await delay(20);
    }
    verifier.ask(ended);
    await verifier.settled(within);
    return {
      revoked: verifier.looks.filter(({ session }) => session === ended.id).map(({ verdict }) => verdict),
      alive: last(alive.id),
      resynchronised: verifier.events.resynchronised ?? 0,
    };
  } finally {
    await deployment.stop();
  }
}
