import { setTimeout as delay } from "node:timers/promises";
import { userName } from "../../../../src/embedded-postgres/cluster.ts";
import { errorInfoOf } from "../../../../src/client/error-info.ts";
import { startDeployment } from "../../chaos/processes/deployment.ts";
import type { Replica } from "../../chaos/processes/replica.ts";
import { PgBouncer, pgbouncerPackage } from "../systems/pgbouncer.ts";
import { PostgresServer, postgresPackage } from "../systems/postgres-server.ts";
import type { InfrastructureTrial } from "../trial.ts";

/** Replica A reaches the database through a pooler, which is switched to a standby that stands still. Replica B stays at the primary. */
export const standbySwitch: InfrastructureTrial = {
  name: "standby-switch",
  shows: "a standby takes the place of the primary behind a living connection of a pooler",
  packages: [postgresPackage, pgbouncerPackage],
  minutes: 2,
  async run({ place, report, say, started }) {
    const server = await PostgresServer.start(place, "primary", started);
    const standby = await server.standby("standby", started);
    const password = new URL(server.url).password;
    const users = { [userName]: password };
    const pooler = await PgBouncer.start(place, { serverPort: server.port, users, poolSize: 5 }, started);
    const urls = [pooler.urlOf("postgres", userName), server.url];
    const deployment = await startDeployment({
      replicas: 2,
      database: { url: server.url, sql: server.sqlIn("postgres"), crash: () => server.crash() },
      environment: (index) => ({
        DATABASE_URL: urls[index] ?? "",
        SESSIOND_DATABASE_DIRECT_URL: server.url,
      }),
    });
    started.defer(() => deployment.stop());
    const [a, b] = deployment.replicas;
    if (a === undefined || b === undefined) throw new Error("there are no replicas");

    const sessions = b.connect(5000);
    const logins = await Promise.all(
      Array.from({ length: 20 }, (_, i) => sessions.create({ memberId: `member-${i}` })),
    );
    const tokens = logins.map(({ token }) => token);
    await standby.sql("select pg_wal_replay_pause()");
    const before = await askAll(a, tokens);
    await pooler.switchTo(standby.port);
    say("the pooler sends new transactions to the standby");
    for (const { session } of logins) {
      await sessions.revoke({ target: { case: "id", value: session?.id ?? "" } });
    }
    const during: Record<string, number> = {};
    for (let i = 0; i < 10; i++) {
      add(during, await askAll(a, tokens));
      await delay(300);
    }
    say("the pooler sends new transactions to the primary again");
    await pooler.switchTo(server.port);
    let after: Record<string, number> = {};
    for (let i = 0; i < 100 && after["SESSION_REVOKED"] !== tokens.length; i++) {
      after = await askAll(a, tokens);
      add(during, { accepted: after["accepted"] ?? 0 });
      await delay(200);
    }
    const violations = [
      ...(during["accepted"] ? [`A accepted revoked sessions ${during["accepted"]} times`] : []),
      ...(before["accepted"] === tokens.length ? [] : ["A did not accept the sessions before"]),
      ...(after["SESSION_REVOKED"] === tokens.length ? [] : ["A does not answer again at the primary"]),
    ];
    report("answers of A", { before, during, after }, violations);
  },
};

/** Authenticates each token once. Counts the answers. */
async function askAll(replica: Replica, tokens: readonly string[]): Promise<Record<string, number>> {
  const sessions = replica.connect(2000);
  const answers = await Promise.all(
    tokens.map((value) =>
      sessions.authenticate({ credential: { case: "token", value } }).then(
        () => "accepted",
        (error: unknown) => errorInfoOf(error)?.reason ?? String(error),
      ),
    ),
  );
  const counts: Record<string, number> = {};
  for (const answer of answers) add(counts, { [answer]: 1 });
  return counts;
}

function add(counts: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(more)) counts[name] = (counts[name] ?? 0) + count;
}
