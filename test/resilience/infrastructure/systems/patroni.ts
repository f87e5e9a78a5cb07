import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "../../../../src/embedded-postgres/supervisor.ts";
import { runSql } from "../../../support/postgres/sql.ts";
import type { Sql } from "../../chaos/processes/deployment.ts";
import type { Place } from "./place.ts";
import { Program, childrenOf, signalAll } from "./program.ts";
import { postgresPackage, postgresProgram, postmasterPid } from "./postgres-server.ts";

export const patroniPackages = [postgresPackage, "patroni", "python3-etcd", "etcd-server"] as const;

const scope = "trial";

/** Seconds after which the key of a leader that stands still is free. The least that Patroni accepts. */
const ttl = 20;

/** One of the nodes: Patroni and the PostgreSQL that it manages. */
export class PatroniNode {
  readonly name: string;
  readonly port: number;
  readonly restPort: number;
  readonly dataDirectory: string;
  readonly #place: Place;
  readonly #settings: string;
  #patroni: Program | undefined;
  #frozen: readonly number[] = [];

  constructor(place: Place, name: string, port: number, restPort: number) {
    this.#place = place;
    this.name = name;
    this.port = port;
    this.restPort = restPort;
    this.dataDirectory = join(place.directory, `${name}-data`);
    this.#settings = join(place.directory, `${name}.json`);
  }

  /** Of this node alone. */
  urlOf(database: string): string {
    return `postgres://postgres@127.0.0.1:${this.port}/${database}`;
  }

  async start(etcd: string): Promise<void> {
    // JSON is YAML.
    await writeFile(this.#settings, JSON.stringify(this.#configuration(etcd)));
    this.startManager();
  }

  startManager(): void {
    this.#patroni = new Program(this.#place, "/usr/bin/patroni", [this.#settings]);
  }

  /** Whether Patroni answers on this path with the status 200. */
  async answers(path: string): Promise<boolean> {
    const url = `http://127.0.0.1:${this.restPort}/${path}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => undefined);
    await response?.body?.cancel();
    return response?.status === 200;
  }

  /** Kills PostgreSQL with all its processes. */
  killPostgres(): void {
    signalAll(this.#postgresPids(), "SIGKILL");
  }

  async killManager(): Promise<void> {
    await this.#patroni?.kill();
  }

  /** Stops Patroni, and PostgreSQL too if `machine` (SIGSTOP). */
  freeze(machine: boolean): void {
    this.#frozen = [this.#patroni?.pid ?? 0, ...(machine ? this.#postgresPids() : [])];
    signalAll(this.#frozen, "SIGSTOP");
  }

  thaw(): void {
    signalAll(this.#frozen, "SIGCONT");
    this.#frozen = [];
  }

  get output(): string {
    return this.#patroni?.output ?? "";
  }

  /** Ends both. */
  async stop(): Promise<void> {
    this.thaw();
    await this.#patroni?.kill();
    this.killPostgres();
  }

  #postgresPids(): readonly number[] {
    const postmaster = postmasterPid(this.dataDirectory);
    return postmaster === undefined ? [] : [postmaster, ...childrenOf(postmaster)];
  }

  #configuration(etcd: string): object {
    const user = { username: "postgres" };
    return {
      scope,
      name: this.name,
      restapi: { listen: `127.0.0.1:${this.restPort}`, connect_address: `127.0.0.1:${this.restPort}` },
      etcd3: { hosts: etcd },
      bootstrap: {
        dcs: {
          ttl,
          loop_wait: 2,
          retry_timeout: 5,
          synchronous_mode: true,
          postgresql: {
            use_pg_rewind: true,
            parameters: { max_connections: 100, shared_buffers: "64MB", wal_log_hints: "on" },
          },
        },
        initdb: [{ encoding: "UTF8" }, { locale: "C" }, { auth: "trust" }],
        pg_hba: ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
      },
      postgresql: {
        listen: `127.0.0.1:${this.port}`,
        connect_address: `127.0.0.1:${this.port}`,
        data_dir: this.dataDirectory,
        bin_dir: postgresProgram(""),
        pgpass: join(this.#place.directory, `${this.name}.pgpass`),
        authentication: { superuser: user, replication: user, rewind: user },
        parameters: { unix_socket_directories: this.#place.directory },
      },
    };
  }
}

/** Three nodes with a synchronous standby, and the etcd that they agree through. */
export class PatroniCluster {
  readonly nodes: readonly PatroniNode[];

  private constructor(nodes: readonly PatroniNode[]) {
    this.nodes = nodes;
  }

  static async start(place: Place, started: AsyncDisposableStack): Promise<PatroniCluster> {
    const etcd = await startEtcd(place, started);
    const nodes: PatroniNode[] = [];
    for (const name of ["n1", "n2", "n3"]) {
      const node = new PatroniNode(place, name, await freePort(), await freePort());
      // PostgreSQL does not end with Patroni.
      const kill = () => node.killPostgres();
      process.on("exit", kill);
      started.defer(async () => {
        await node.stop();
        process.off("exit", kill);
      });
      await node.start(etcd);
      nodes.push(node);
      // The first one creates the cluster, which the others copy.
      if (nodes.length > 1) continue;
      await until(
        () => node.answers("primary"),
        () => node.output,
      );
    }
    const cluster = new PatroniCluster(nodes);
    await cluster.healthy();
    return cluster;
  }

  /** DATABASE_URL with all hosts. */
  urlOf(database: string): string {
    const hosts = this.nodes.map(({ port }) => `127.0.0.1:${port}`);
    return `postgres://postgres@${hosts.join(",")}/${database}`;
  }

  /** Runs statements on the leader. */
  sqlIn(database: string): Sql {
    return async (statement, ...values) => {
      return runSql((await this.leader()).urlOf(database), statement, ...values);
    };
  }

  /** Waits for a leader other than `than`. */
  async leader(than?: PatroniNode): Promise<PatroniNode> {
    let leader: PatroniNode | undefined;
    await until(
      async () => {
        const answers = await Promise.all(this.nodes.map((node) => node.answers("primary")));
        leader = this.nodes.find((node, i) => answers[i] === true && node !== than);
        return leader !== undefined;
      },
      () => this.#output,
    );
    if (leader === undefined) throw new Error("there is no leader");
    return leader;
  }

  /** Waits for a leader whose commits wait for a standby, and two standbys that follow it. */
  async healthy(): Promise<void> {
    await until(
      async () => {
        const [state] = await this.sqlIn("postgres")<{ standbys: number; synchronous: number }>(
          `select count(*)::int as standbys, (count(*) filter (where sync_state = 'sync'))::int as synchronous
           from pg_stat_replication where state = 'streaming'`,
        ).catch(() => []);
        return state?.standbys === 2 && state.synchronous === 1;
      },
      () => this.#output,
    );
  }

  /** Hands over to the synchronous standby. */
  async switchOver(): Promise<void> {
    const leader = await this.leader();
    const response = await fetch(`http://127.0.0.1:${leader.restPort}/switchover`, {
      method: "POST",
      body: JSON.stringify({ leader: leader.name }),
    });
    if (!response.ok) throw new Error(`Patroni refuses the switchover: ${await response.text()}`);
    await this.leader(leader);
    await this.healthy();
  }

  get #output(): string {
    return this.nodes.map((node) => `${node.name}:\n${node.output}`).join("\n");
  }
}

async function startEtcd(place: Place, started: AsyncDisposableStack): Promise<string> {
  const [port, peerPort] = [await freePort(), await freePort()];
  const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
  const etcd = new Program(place, "/usr/bin/etcd", [
    `--data-dir=${join(place.directory, "etcd")}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    "--logger=zap",
  ]);
  started.defer(() => etcd.kill());
  await etcd.listensOn(port);
  return `127.0.0.1:${port}`;
}

async function until(condition: () => Promise<boolean>, output: () => string): Promise<void> {
  for (const end = Date.now() + 120_000; !(await condition()); await delay(100)) {
    if (Date.now() > end) throw new Error(`the cluster is not as expected after two minutes:\n${output()}`);
  }
}
