import { userName } from "../../../../src/embedded-postgres/cluster.ts";
import { Replica } from "../../chaos/processes/replica.ts";
import { everyCall } from "../every-call.ts";
import { PgBouncer, pgbouncerPackage } from "../systems/pgbouncer.ts";
import { PostgresServer, postgresPackage } from "../systems/postgres-server.ts";
import type { InfrastructureTrial } from "../trial.ts";

const count = 12;

/** Replicas that start at once migrate a fresh database through one pooler. */
export const twelveReplicas: InfrastructureTrial = {
  name: "twelve-replicas",
  shows: "twelve replicas that start at once on a fresh database behind PgBouncer",
  packages: [postgresPackage, pgbouncerPackage],
  minutes: 6,
  async run({ place, report, say, started }) {
    const server = await PostgresServer.start(place, "postgres", started);
    const users = { [userName]: new URL(server.url).password };
    const pooler = await PgBouncer.start(place, { serverPort: server.port, users, poolSize: 20 }, started);
    for (const isDirect of [true, false]) {
      const database = isDirect ? "direct" : "pooled";
      await server.sql(`create database ${database}`);
      const options = {
        databaseUrl: pooler.urlOf(database, userName),
        masterKey: Buffer.alloc(32, 7).toString("base64"),
        projectId: "project-of-twelve",
        secret: "secret-of-twelve-replicas-and-no-other",
        environment: isDirect ? { SESSIOND_DATABASE_DIRECT_URL: server.urlOf(database) } : {},
      };
      const replicas = Array.from({ length: count }, () => new Replica(options));
      const problems: string[] = [];
      const began = Date.now();
      try {
        const starts = await Promise.allSettled(replicas.map((replica) => replica.start()));
        for (const start of starts) {
          if (start.status === "rejected") problems.push(`a replica did not start: ${String(start.reason)}`);
        }
        const seconds = Math.round((Date.now() - began) / 1000);
        say(`${count - problems.length} of ${count} replicas have started`);
        const [first] = replicas;
        if (first !== undefined) problems.push(...(await everyCall(first.client(30_000), options.projectId)));
        await Promise.all(replicas.map((replica) => replica.kill()));
        const locks = await server.sqlIn(database)(
          `select from pg_locks join pg_database d on d.oid = database
           where locktype = 'advisory' and datname = current_database()`,
        );
        if (locks.length > 0) problems.push(`${locks.length} advisory locks outlive the replicas`);
        report(
          isDirect ? "with SESSIOND_DATABASE_DIRECT_URL" : "through the pooler only",
          { seconds },
          problems,
        );
      } finally {
        await Promise.all(replicas.map((replica) => replica.kill()));
      }
    }
  },
};
