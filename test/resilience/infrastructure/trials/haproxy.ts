import { haproxyPackage, startHaproxy } from "../systems/haproxy.ts";
import { PatroniCluster, patroniPackages } from "../systems/patroni.ts";
import type { InfrastructureTrial } from "../trial.ts";
import { failOver } from "./patroni.ts";

/** The failovers of Patroni behind HAProxy, which shows the replicas the server whose Patroni says that it is the primary. */
export const haproxy: InfrastructureTrial = {
  name: "haproxy",
  shows: "switchover, kills, a frozen manager and a frozen machine behind HAProxy",
  packages: [...patroniPackages, haproxyPackage],
  minutes: 12,
  async run(stage) {
    const cluster = await PatroniCluster.start(stage.place, stage.started);
    const port = await startHaproxy(stage.place, cluster.nodes, stage.started);
    const urlOf = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`;
    await failOver(stage, cluster, { urlOf, urlOfNew: (_, database) => urlOf(database) });
  },
};
