import { runTrial } from "../../chaos/trial.ts";
import { Freeze } from "../patroni-faults.ts";
import { reportLoad, shortLoad } from "../report-load.ts";
import { haproxyPackage, startHaproxy } from "../systems/haproxy.ts";
import { PatroniCluster, patroniPackages } from "../systems/patroni.ts";
import type { InfrastructureTrial } from "../trial.ts";

const database = "trial";

/** Two primaries, of which HAProxy shows the replicas the one whose Patroni answers. */
export const haproxy: InfrastructureTrial = {
  name: "haproxy",
  shows: "a frozen manager (two primaries) behind HAProxy",
  packages: [...patroniPackages, haproxyPackage],
  minutes: 6,
  async run({ place, report, say, started }) {
    const cluster = await PatroniCluster.start(place, started);
    const port = await startHaproxy(place, cluster.nodes, started);
    const url = `postgres://postgres@127.0.0.1:${port}/${database}`;
    await cluster.sqlIn("postgres")(`create database ${database}`);
    const freeze = Freeze.manager(cluster, () => url);
    const seen = await runTrial({
      ...shortLoad,
      replicas: 2,
      database: {
        url,
        sql: cluster.sqlIn(database),
        crash: async () => (await cluster.leader()).killPostgres(),
      },
      faults: [freeze],
      log: say,
    });
    reportLoad(report, ...freeze.judged("frozen manager", seen));
  },
};
