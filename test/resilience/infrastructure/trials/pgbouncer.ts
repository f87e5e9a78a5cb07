import { setTimeout as delay } from "node:timers/promises";
import { type DeploymentOptions, startDeployment } from "../../chaos/processes/deployment.ts";
import type { Fault } from "../../chaos/processes/faults.ts";
import { runTrial } from "../../chaos/trial.ts";
import { everyCallOf } from "../every-call.ts";
import { PgBouncer, pgbouncerPackage } from "../systems/pgbouncer.ts";
import { PostgresServer, postgresPackage } from "../systems/postgres-server.ts";
import { reportLoad, shortLoad } from "../report-load.ts";
import type { InfrastructureTrial, Stage } from "../trial.ts";

const role = "hostile";

/** Defaults of a role that change what statements mean, or when a commit is durable. */
const hostileDefaults = [
  "synchronous_commit = off",
  "default_transaction_isolation = serializable",
  "default_transaction_deferrable = on",
  "timezone = 'America/St_Johns'",
  "datestyle = 'German'",
  "intervalstyle = sql_standard",
  "bytea_output = escape",
  "extra_float_digits = -5",
  "standard_conforming_strings = off",
  "row_security = off",
  "quote_all_identifiers = on",
  "lock_timeout = '5s'",
  "statement_timeout = '30s'",
  "idle_session_timeout = '3s'",
];

/** Defaults that make every statement slow. */
const slowDefaults = ["jit_above_cost = 0", "force_parallel_mode = on", "enable_indexscan = off"];

/** Transaction mode, a small pool and a hostile role; the pooler's connections are replaced every second, and PostgreSQL crashes. */
export const pgbouncer: InfrastructureTrial = {
  name: "pgbouncer",
  shows: "PgBouncer in transaction mode with hostile defaults of the role, forced reconnects and crashes",
  packages: [postgresPackage, pgbouncerPackage],
  minutes: 5,
  async run(stage) {
    const { place, report, say, started } = stage;
    const server = await PostgresServer.start(place, "postgres", started);
    await server.sql(`create role ${role} login password '${role}'`);
    for (const setting of hostileDefaults) await server.sql(`alter role ${role} set ${setting}`);
    const users = { [role]: role };
    const pooler = await PgBouncer.start(place, { serverPort: server.port, users, poolSize: 5 }, started);
    const setupOf = async (database: string): Promise<DeploymentOptions> => {
      await server.sql(`create database ${database} owner ${role}`);
      return {
        replicas: 2,
        database: {
          url: pooler.urlOf(database, role),
          sql: server.sqlIn(database),
          crash: () => server.crash(),
        },
        environment: () => ({ SESSIOND_DATABASE_DIRECT_URL: server.urlOf(database, role, role) }),
      };
    };
    await withSlowDefaults(server, pooler, await setupOf("slow"), stage);
    const faults = [reconnects(pooler, 5), crash, reconnects(pooler, 5), crash, reconnects(pooler, 3), crash];
    const seen = await runTrial({ ...shortLoad, ...(await setupOf("load")), faults, log: say });
    reportLoad(report, "reconnects and crashes", seen);
  },
};

/** Makes each call once while the slow defaults hold too. */
async function withSlowDefaults(
  server: PostgresServer,
  pooler: PgBouncer,
  setup: DeploymentOptions,
  { report }: Stage,
): Promise<void> {
  for (const setting of slowDefaults) await server.sql(`alter role ${role} set ${setting}`);
  const deployment = await startDeployment({ ...setup, replicas: 1 });
  try {
    report("every call, with all hostile defaults", {}, await everyCallOf(deployment));
  } finally {
    await deployment.stop();
  }
  for (const setting of slowDefaults) {
    await server.sql(`alter role ${role} reset ${setting.replace(/ .*/, "")}`);
  }
  await pooler.reconnect();
}

const crash: Fault = {
  name: "PostgreSQL is killed with all its processes (SIGKILL)",
  run: ({ deployment }) => deployment.database.crash(),
};

function reconnects(pooler: PgBouncer, count: number): Fault {
  return {
    name: "all connections of the pooler are replaced every second",
    async run() {
      for (let i = 0; i < count; i++) {
        await pooler.reconnect();
        await delay(1000);
      }
    },
  };
}
