import { setTimeout as delay } from "node:timers/promises";
import { startDeployment } from "../processes/deployment.ts";
import type { VerifierObservation } from "../processes/verifier.ts";

/** Verdicts of a verifier that was frozen past retention. */
interface Awakening {
  /** All verdicts on a session that was revoked while it was frozen. */
  readonly revoked: readonly VerifierObservation["verdict"][];
  readonly alive: VerifierObservation["verdict"] | undefined;
  readonly resynchronised: number;
}

/**
 * Freezes a verifier past its staleness bound, cuts its stream, and deletes the row that it would resume after, as the purge does after
 * retention. Then thaws the verifier.
 */
export async function sleepPastRetention(maxStaleness: number, timeoutMs: number): Promise<Awakening> {
  const deployment = await startDeployment({ replicas: 1 });
  try {
    const [replica] = deployment.replicas;
    if (replica === undefined) throw new Error("there is no replica");
    const verifier = await deployment.startVerifier("refuse", maxStaleness);
    const sessions = replica.connect(5000);
    const login = async (memberId: string) => {
      const { session, jwt } = await sessions.create({ memberId });
      return { id: session?.id ?? "", jwt };
    };
    const [older, forgotten] = [await login("ann"), await login("ada")];
    const [ended, alive] = [await login("ben"), await login("cyd")];
    verifier.freeze();
    try {
      await replica.kill();
      await replica.start();
      const revoke = (id: string) => sessions.revoke({ target: { case: "id", value: id } });
      await revoke(older.id);
      const { revision } = await revoke(forgotten.id);
      await revoke(ended.id);
      // As the purge does with revocations that no JWT needs: it keeps the last one.
      await deployment.sql(
        "update revocations set matter_until_time = now() where revision <= $1",
        String(revision),
      );
      await deployment.sql("delete from revocations where revision < $1", String(revision));
      verifier.ask(ended);
      await delay(maxStaleness);
    } finally {
      verifier.thaw();
    }
    const last = (id: string) => verifier.observations.findLast(({ session }) => session === id)?.verdict;
    for (let waited = 0; waited < timeoutMs && last(alive.id)?.ok !== true; waited += 20) {
      verifier.ask(ended);
      verifier.ask(alive);
      await delay(20);
    }
    verifier.ask(ended);
    await verifier.answered(timeoutMs);
    return {
      revoked: verifier.observations
        .filter(({ session }) => session === ended.id)
        .map(({ verdict }) => verdict),
      alive: last(alive.id),
      resynchronised: verifier.events.resynchronised ?? 0,
    };
  } finally {
    await deployment.stop();
  }
}
