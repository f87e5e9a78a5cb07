import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { QueryResultRow } from "pg";
import type { Binaries } from "../../../../src/embedded-postgres/binaries.ts";
import { openCluster, userName } from "../../../../src/embedded-postgres/cluster.ts";
import { giveTo, openPrivateDirectory } from "../../../../src/embedded-postgres/directory.ts";
import { type Postmaster, startPostmaster } from "../../../../src/embedded-postgres/postmaster.ts";
import { freePort } from "../../../../src/embedded-postgres/supervisor.ts";
import type { Sql } from "../../chaos/processes/deployment.ts";
import { runSql } from "../../../support/postgres/sql.ts";
import { type Place, runProgram } from "./place.ts";
import { childrenOf, signalAll } from "./program.ts";

/** Debian's PostgreSQL, which has the client programs that the embedded one lacks. */
const root = "/usr/lib/postgresql/15";

export const postgresPackage = "postgresql-15";

/** Path of a program of PostgreSQL. */
export function postgresProgram(name: string): string {
  return join(root, "bin", name);
}

const binaries: Binaries = {
  packageName: postgresPackage,
  root,
  initdb: postgresProgram("initdb"),
  postgres: postgresProgram("postgres"),
};

/** A PostgreSQL on a port of its own, with a superuser. */
export class PostgresServer {
  readonly port: number;
  readonly dataDirectory: string;
  readonly #place: Place;
  readonly #password: string;
  #running: Postmaster | undefined;

  private constructor(place: Place, dataDirectory: string, password: string, port: number) {
    this.#place = place;
    this.dataDirectory = dataDirectory;
    this.#password = password;
    this.port = port;
  }

  /** Creates a cluster and starts it. */
  static async start(place: Place, name: string, started: AsyncDisposableStack): Promise<PostgresServer> {
    const directory = await openPrivateDirectory(join(place.directory, name));
    await giveTo(place.runAs, directory);
    const cluster = await openCluster({ directory, binaries, runAs: place.runAs, durable: true });
    const server = new PostgresServer(place, cluster.dataDirectory, cluster.password, await freePort());
    started.defer(() => server.stop());
    await server.start();
    return server;
  }

  /** Creates a streaming standby with pg_basebackup and starts it. It reaches this server at `port`. */
  async standby(name: string, started: AsyncDisposableStack, port = this.port): Promise<PostgresServer> {
    const dataDirectory = join(this.#place.directory, name);
    const url = this.url.replace(`:${this.port}/`, `:${port}/`);
    await runProgram(this.#place, postgresProgram("pg_basebackup"), [
      `--dbname=${url}?application_name=${name}`,
      `--pgdata=${dataDirectory}`,
      "--wal-method=stream",
      "--checkpoint=fast",
      "--write-recovery-conf",
    ]);
    const server = new PostgresServer(this.#place, dataDirectory, this.#password, await freePort());
    started.defer(() => server.stop());
    await server.start();
    return server;
  }

  /** Of the superuser, and the database `postgres`. */
  get url(): string {
    return this.urlOf("postgres");
  }

  urlOf(database: string, user = userName, password = this.#password): string {
    return `postgres://${user}:${password}@127.0.0.1:${this.port}/${database}`;
  }

  /** Runs a statement as the superuser. */
  sql<Row extends QueryResultRow>(statement: string, ...values: readonly unknown[]): Promise<readonly Row[]> {
    return runSql(this.url, statement, ...values);
  }

  /** A function that runs statements in a database as the superuser. */
  sqlIn(database: string): Sql {
    return (statement, ...values) => runSql(this.urlOf(database), statement, ...values);
  }

  /** Makes a backup of a database with pg_dump. Returns the file. */
  async dump(database: string): Promise<string> {
    const file = join(this.#place.directory, `${database}.dump`);
    const dump = ["--format=custom", `--file=${file}`, `--dbname=${this.urlOf(database)}`];
    await runProgram(this.#place, postgresProgram("pg_dump"), dump);
    return file;
  }

  /** Creates a database from a backup with pg_restore. */
  async restore(file: string, database: string): Promise<void> {
    await this.sql(`create database ${database}`);
    const restore = ["--exit-on-error", `--dbname=${this.urlOf(database)}`, file];
    await runProgram(this.#place, postgresProgram("pg_restore"), restore);
  }

  async start(): Promise<void> {
    const settings = { binaries, runAs: this.#place.runAs, durable: true, ignorePid: undefined };
    const { dataDirectory, port } = this;
    this.#running = await startPostmaster(
      { ...settings, dataDirectory, port, maxConnections: 200, log: () => undefined },
      new AbortController().signal,
    );
  }

  /** Immediate shutdown: what was not written at a commit is lost. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    process.kill(running.pid, "SIGQUIT");
    await running.ended;
  }

  /** Kills the postmaster and all its children (SIGKILL), and starts it again. */
  async crash(): Promise<void> {
    const running = this.#running;
    if (running === undefined) throw new Error("PostgreSQL does not run");
    const children = childrenOf(running.pid);
    signalAll([running.pid], "SIGKILL");
    signalAll([...children, ...childrenOf(running.pid)], "SIGKILL");
    await running.ended;
    while (children.some(isRunning)) await delay(10);
    await this.start();
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Pid of the postmaster of a data directory. Undefined if it has none. */
export function postmasterPid(dataDirectory: string): number | undefined {
  const file = join(dataDirectory, "postmaster.pid");
  const pid = existsSync(file) ? Number(readFileSync(file, "utf8").split("\n")[0]) : 0;
  return pid > 0 && isRunning(pid) ? pid : undefined;
}
