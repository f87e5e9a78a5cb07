import { randomBytes } from "node:crypto";
import type { QueryResultRow } from "pg";
import type { EmbeddedPostgres } from "../../../../src/embedded-postgres/supervisor.ts";
import type { OnStale } from "../../../../src/client/verifier/verifier.ts";
import { runSql } from "../../../support/postgres/sql.ts";
import { temporaryPostgres } from "../../../support/postgres/temporary-postgres.ts";
import { VerifierProcess } from "./verifier.ts";
import { Replica, type ReplicaOptions } from "./replica.ts";

/** Replicas as processes, on their own database. */
export interface Deployment {
  readonly options: ReplicaOptions;
  readonly postgres: EmbeddedPostgres;
  readonly replicas: readonly Replica[];
  /** Starts a verifier. Times in milliseconds. */
  startVerifier(onStale: OnStale, maxStaleness: number): Promise<VerifierProcess>;
  readonly sql: <Row extends QueryResultRow>(
    statement: string,
    ...values: readonly unknown[]
  ) => Promise<readonly Row[]>;
  stop(): Promise<void>;
}

/** Starts `count` replicas; stops what it has started if it fails. */
export async function startDeployment(count: number): Promise<Deployment> {
  await using started = new AsyncDisposableStack();
  const postgres = await temporaryPostgres();
  started.defer(() => postgres.stop());
  const options = {
    databaseUrl: postgres.url,
    masterKey: randomBytes(32).toString("base64"),
    projectId: "project-test-faults",
    secret: randomBytes(16).toString("hex"),
  };
  const replicas: Replica[] = [];
  for (let i = 0; i < count; i++) {
    const replica = new Replica(options);
    started.defer(() => replica.kill());
    await replica.start();
    replicas.push(replica);
  }
  const running = started.move();
  let verifiers = 0;
  return {
    async startVerifier(onStale, maxStaleness) {
      // Each starts with a different replica.
      const first = verifiers++;
      const verifier = await VerifierProcess.start({
        baseUrl: replicas.map((_, i) => replicas[(first + i) % count]?.url ?? ""),
        credential: { projectId: options.projectId, secret: options.secret },
        onStale,
        maxStaleness,
      });
      running.defer(() => verifier.stop());
      return verifier;
    },
    options,
    postgres,
    replicas,
    sql: (...query) => runSql(postgres.url, ...query),
    stop: () => running.disposeAsync(),
  };
}
