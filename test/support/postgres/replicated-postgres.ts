import { execFile } from "node:child_process";
import { appendFile, chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { QueryResultRow } from "pg";
import { onTestFinished } from "vitest";
import { findBinaries } from "../../../src/embedded-postgres/binaries.ts";
import { openCluster, userName } from "../../../src/embedded-postgres/cluster.ts";
import { giveTo, openPrivateDirectory } from "../../../src/embedded-postgres/directory.ts";
import { freePort } from "../../../src/embedded-postgres/supervisor.ts";
import { type Postmaster, startPostmaster } from "../../../src/embedded-postgres/postmaster.ts";
import { chooseRunAs } from "../../../src/embedded-postgres/run-as.ts";
import { runSql } from "./sql.ts";

export interface Server {
  readonly url: string;
  readonly sql: <Row extends QueryResultRow>(statement: string) => Promise<readonly Row[]>;
  /** Immediate shutdown, like a power failure. */
  crash(): Promise<void>;
  /** Stops all its processes, like a suspended machine. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  start(): Promise<void>;
}

/** A primary whose commits wait for its standby. */
export interface ReplicatedPostgres {
  readonly primary: Server;
  readonly standby: Server;
  /** DATABASE_URL with both hosts. */
  readonly url: string;
}

/** Signals a process and its children. */
async function signal(pid: number, name: NodeJS.Signals): Promise<void> {
  const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "pid=,ppid="]);
  const processes = stdout.split("\n").map((line) => line.trim().split(/\s+/).map(Number));
  // The parent first, so that it starts no other child.
  for (const child of [pid, ...processes.filter(([, parent]) => parent === pid).map(([id = 0]) => id)]) {
    if (child > 0) process.kill(child, name);
  }
}

/** Starts both servers. Stops them with the test. */
export async function replicatedPostgres(): Promise<ReplicatedPostgres> {
  const binaries = await findBinaries();
  const root = await mkdtemp(join(tmpdir(), "sessiond-replicated-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const directory = await openPrivateDirectory(join(root, "one"));
  await chmod(root, 0o711);
  const runAs = await chooseRunAs(directory, binaries);
  await giveTo(runAs, root);
  await giveTo(runAs, directory);
  const { dataDirectory, password } = await openCluster({ directory, binaries, runAs, durable: true });
  const copy = join(root, "two");
  // A cluster that never ran can be copied.
  await promisify(execFile)("cp", ["-a", dataDirectory, copy]);
  const [port, standbyPort] = [await freePort(), await freePort()];
  await appendFile(
    join(copy, "postgresql.auto.conf"),
    `primary_conninfo = 'host=127.0.0.1 port=${port} user=${userName} password=${password} application_name=standby'\n`,
  );
  await writeFile(join(copy, "standby.signal"), "");
  await giveTo(runAs, join(copy, "standby.signal"));
  const settings = {
    binaries,
    runAs,
    durable: true,
    maxConnections: 100,
    ignorePid: undefined,
    log: () => undefined,
  };
  const server = (dataDirectory: string, port: number): Server => {
    const url = `postgres://${userName}:${password}@127.0.0.1:${port}/postgres`;
    let running: Postmaster | undefined;
    const crash = async () => {
      const ending = running;
      running = undefined;
      if (ending === undefined) return;
      // A stopped process would not receive the next signal.
      await signal(ending.pid, "SIGCONT");
      process.kill(ending.pid, "SIGQUIT");
      await ending.ended;
    };
    onTestFinished(crash);
    return {
      url,
      crash,
      freeze: async () => running && signal(running.pid, "SIGSTOP"),
      thaw: async () => running && signal(running.pid, "SIGCONT"),
      sql: (statement) => runSql(url, statement),
      async start() {
        running = await startPostmaster({ ...settings, dataDirectory, port }, new AbortController().signal);
      },
    };
  };
  const primary = server(dataDirectory, port);
  const standby = server(copy, standbyPort);
  await primary.start();
  await standby.start();
  await primary.sql("alter system set synchronous_standby_names = 'standby'");
  await primary.sql("select pg_reload_conf()");
  return {
    primary,
    standby,
    url: `postgres://${userName}:${password}@127.0.0.1:${port},127.0.0.1:${standbyPort}/postgres`,
  };
}
