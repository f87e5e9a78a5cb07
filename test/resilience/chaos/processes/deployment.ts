import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from "../../../../src/embedded-postgres/supervisor.ts";
import type { OnStale } from "../../../../src/client/verifier/verifier.ts";
import { VerifierProcess } from "./verifier.ts";
import { Replica, type ReplicaOptions } from "./replica.ts";

/** Replicas as processes, on their own database. */
export interface Deployment {
  readonly options: ReplicaOptions;
  readonly postgres: EmbeddedPostgres;
  readonly replicas: readonly Replica[];
  /** Starts a verifier. Times in milliseconds. */
  startVerifier(onStale: OnStale, maxStaleness: number): Promise<VerifierProcess>;
  /** Runs a statement directly on the database. */
  readonly sql: <Row>(statement: string, ...values: readonly unknown[]) => Promise<readonly Row[]>;
  /** Stops all processes and removes the database. */
  stop(): Promise<void>;
}

/** Starts `count` replicas. Leaves nothing running if it fails. */
export async function startDeployment(count: number): Promise<Deployment> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const end of stops.splice(0).toReversed()) await end();
  };
  try {
    const directory = await mkdtemp(join(tmpdir(), "sessiond-faults-"));
    stops.push(() => rm(directory, { recursive: true, force: true }));
    const postgres = await startEmbeddedPostgres({ directory });
    stops.push(() => postgres.stop());
    const options = {
      databaseUrl: postgres.url,
      masterKey: randomBytes(32).toString("base64"),
      projectId: "project-test-faults",
      secret: randomBytes(16).toString("hex"),
    };
    const replicas: Replica[] = [];
    for (let i = 0; i < count; i++) {
      const replica = await Replica.start(options);
      stops.push(() => replica.kill());
      replicas.push(replica);
    }
    const startVerifier = async (onStale: OnStale, maxStaleness: number) => {
      const verifier = await VerifierProcess.start({
        // Each starts with a different replica.
        baseUrl: replicas.map((_, i) => replicas[(i + stops.length) % count]?.url ?? ""),
        credential: { projectId: options.projectId, secret: options.secret },
        onStale,
        maxStaleness,
      });
      stops.push(() => verifier.stop());
      return verifier;
    };
    return {
      startVerifier,
      options,
      postgres,
      replicas,
      sql: (...query) => run(postgres.url, ...query),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function run<Row>(
  url: string,
  statement: string,
  ...values: readonly unknown[]
): Promise<readonly Row[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query(statement, [...values]);
    return rows;
  } finally {
    await client.end();
  }
}
