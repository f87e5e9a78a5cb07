import { setTimeout as delay } from "node:timers/promises";
import { TokenReuseAction } from "../../../../gen/session/v1/project_pb.ts";
import { run } from "../../../../src/embedded-postgres/run-as.ts";
import { type Deployment, startDeployment } from "../../chaos/processes/deployment.ts";
import type { Fault } from "../../chaos/processes/faults.ts";
import { VerifierProcess } from "../../chaos/processes/verifier.ts";
import { runLoad } from "../../chaos/trial.ts";
import { reportLoad, shortLoad } from "../report-load.ts";
import { PostgresServer, postgresPackage } from "../systems/postgres-server.ts";
import type { InfrastructureTrial } from "../trial.ts";

const faketimePackage = "libfaketime";

/** Seconds by which the clock of each replica is off. */
const offsets = ["+15s", "-15s"] as const;

/** Machines whose clocks differ by up to 30 seconds. */
export const skew: InfrastructureTrial = {
  name: "skew",
  shows:
    "replicas whose clocks are 15 s off each way, verifiers that are 30 s off, rotation with reuse detection",
  packages: [postgresPackage, faketimePackage],
  minutes: 5,
  async run({ place, report, say, started }) {
    const library = await findLibrary();
    const clock = (offset: string) => ({
      LD_PRELOAD: library,
      FAKETIME: offset,
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    });
    const server = await PostgresServer.start(place, "postgres", started);
    const deployment = await startDeployment({
      replicas: offsets.length,
      database: { url: server.url, sql: server.sqlIn("postgres"), crash: () => server.crash() },
      environment: (index) => clock(offsets[index] ?? "+0s"),
    });
    try {
      const { projectId, secret } = deployment.options;
      const verifiers = [];
      for (const offset of ["+30s", "-30s"]) {
        const options = {
          baseUrl: deployment.replicas.map(({ url }) => url),
          credential: { projectId, secret },
          onStale: "ask",
          maxStaleness: shortLoad.maxStaleness,
        } as const;
        const verifier = await VerifierProcess.start(options, clock(offset));
        started.defer(() => verifier.stop());
        verifiers.push(verifier);
      }
      const rotation = new Rotation(deployment);
      const seen = await runLoad(deployment, { ...shortLoad, verifiers, faults: [rotation], log: say });
      const refused = verifiers.flatMap(({ observations }) =>
        observations.filter(({ verdict }) => !verdict.ok && !["revoked", "stale"].includes(verdict.reason)),
      );
      reportLoad(report, "history check", seen, { "other refusals of verifiers": refused.length });
      report("rotation with reuse detection", { rotations: rotation.count }, rotation.problems);
    } finally {
      await deployment.stop();
    }
  },
};

async function findLibrary(): Promise<string> {
  const { output } = await run("dpkg-query", ["--listfiles", faketimePackage], {
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
  });
  const library = output.split("\n").find((file) => file.endsWith("/libfaketime.so.1"));
  if (library === undefined) throw new Error(`${faketimePackage} has no library: ${output}`);
  return library;
}

/** Rotates tokens at one replica, and repeats the rotation at the other one within the leeway, as a client does that got no answer. */
class Rotation implements Fault {
  readonly name = "tokens are rotated at both replicas";
  readonly problems: string[] = [];
  readonly #deployment: Deployment;
  count = 0;
  #revoked = 0;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  async run(): Promise<void> {
    const { replicas, options } = this.#deployment;
    const [a, b] = replicas.map((replica) => replica.client(5000));
    if (a === undefined || b === undefined) throw new Error("there are no replicas");
    const policy = {
      tokenReuseAction: TokenReuseAction.REVOKE,
      tokenReuseLeeway: { seconds: 5n, nanos: 0 },
    };
    await a.projects.updatePolicy({ projectId: options.projectId, policy });
    // Replicas keep a policy for a second.
    await delay(1500);
    for (let i = 0; i < 100; i++) {
      const [first, second] = i % 2 === 0 ? [a, b] : [b, a];
      try {
        const { token, session } = await first.sessions.create({ memberId: `rotating-${i}` });
        const rotated = await second.sessions.rotateToken({ token });
        await first.sessions.rotateToken({ token });
        for (const { sessions } of [first, second]) {
          const credential = { case: "token", value: rotated.token } as const;
          const seen = await sessions.authenticate({ credential });
          if (seen.session?.id !== session?.id) this.problems.push("the token is of another session");
        }
        this.count++;
      } catch (error) {
        // The load revokes the whole project now and then.
        if (!/revoked/.test(String(error))) this.problems.push(String(error));
        else this.#revoked++;
      }
    }
    if (this.#revoked > 10) this.problems.push(`${this.#revoked} of 100 sessions were revoked`);
  }
}
