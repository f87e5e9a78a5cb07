import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { QueryResultRow } from "pg";
import type { OnStale } from "../../../../src/client/verifier/verifier.ts";
import { runSql } from "../../../support/postgres/sql.ts";
import { temporaryPostgres } from "../../../support/postgres/temporary-postgres.ts";
import { VerifierProcess } from "./verifier.ts";
import { Replica, type ReplicaOptions } from "./replica.ts";

export type Sql = <Row extends QueryResultRow>(
  statement: string,
  ...values: readonly unknown[]
) => Promise<readonly Row[]>;

/** The database of a deployment, with whatever stands in front of it. */
export interface TrialDatabase {
  /** DATABASE_URL of the replicas. */
  readonly url: string;
  /** Runs a statement on the server, past poolers and proxies. */
  readonly sql: Sql;
  /** Crashes the server. Resolves when it is running again. */
  crash(): Promise<void>;
}

/** Replicas as processes, on their own database. */
export interface Deployment {
  readonly options: ReplicaOptions;
  readonly database: TrialDatabase;
  readonly replicas: readonly Replica[];
  /** Starts a verifier, by default of all replicas. Times in milliseconds. */
  startVerifier(onStale: OnStale, maxStaleness: number, baseUrl?: string): Promise<VerifierProcess>;
  readonly sql: Sql;
  stop(): Promise<void>;
}

export interface DeploymentOptions {
  readonly replicas: number;
  /** Default: a PostgreSQL of its own. The caller stops it. */
  readonly database?: TrialDatabase;
  /** Those of an earlier deployment on the same database. */
  readonly keys?: Pick<ReplicaOptions, "masterKey" | "secret">;
  /** Further variables of the replica with this index. */
  readonly environment?: (index: number) => Readonly<Record<string, string>>;
}

/** Starts replicas; stops what it has started if it fails. */
export async function startDeployment(setup: DeploymentOptions): Promise<Deployment> {
  await using started = new AsyncDisposableStack();
  const database = setup.database ?? (await embeddedDatabase(started));
  const options = {
    databaseUrl: database.url,
    masterKey: setup.keys?.masterKey ?? randomBytes(32).toString("base64"),
    projectId: "project-test-faults",
    secret: setup.keys?.secret ?? randomBytes(16).toString("hex"),
  };
  const replicas: Replica[] = [];
  for (let i = 0; i < setup.replicas; i++) {
    const replica = new Replica({ ...options, environment: setup.environment?.(i) ?? {} });
    started.defer(() => replica.kill());
    await replica.start();
    replicas.push(replica);
  }
  const running = started.move();
  let verifiers = 0;
  return {
    async startVerifier(onStale, maxStaleness, baseUrl) {
      // Each starts with a different replica.
      const first = verifiers++;
      const verifier = await VerifierProcess.start({
        baseUrl: baseUrl ?? replicas.map((_, i) => replicas[(first + i) % replicas.length]?.url ?? ""),
        credential: { projectId: options.projectId, secret: options.secret },
        onStale,
        maxStaleness,
      });
      running.defer(() => verifier.stop());
      return verifier;
    },
    options,
    database,
    replicas,
    sql: database.sql,
    stop: () => running.disposeAsync(),
  };
}

/** A PostgreSQL of its own, which recovers from a crash by itself. */
async function embeddedDatabase(started: AsyncDisposableStack): Promise<TrialDatabase> {
  const postgres = await temporaryPostgres();
  started.defer(() => postgres.stop());
  return {
    url: postgres.url,
    sql: (...query) => runSql(postgres.url, ...query),
    async crash() {
      const crashed = postgres.pid();
      if (crashed === undefined) throw new Error("PostgreSQL does not run");
      process.kill(crashed, "SIGQUIT");
      while (postgres.pid() === undefined || postgres.pid() === crashed) await delay(20);
    },
  };
}
