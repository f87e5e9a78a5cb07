import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../../../../src/embedded-postgres/supervisor.ts";
import { runSql } from "../../../support/postgres/sql.ts";
import type { Place } from "./place.ts";
import { Program } from "./program.ts";

export const pgbouncerPackage = "pgbouncer";

export interface PgBouncerOptions {
  readonly serverPort: number;
  /** Passwords by user, for its connections to the server. Clients need none. */
  readonly users: Readonly<Record<string, string>>;
  /** Server connections per user and database. */
  readonly poolSize: number;
  /** Further settings. */
  readonly settings?: readonly string[];
}

/** PgBouncer in transaction mode. */
export class PgBouncer {
  readonly port: number;
  readonly #options: PgBouncerOptions;
  readonly #file: string;
  #serverPort: number;

  private constructor(options: PgBouncerOptions, port: number, file: string) {
    this.#options = options;
    this.#serverPort = options.serverPort;
    this.port = port;
    this.#file = file;
  }

  static async start(
    place: Place,
    options: PgBouncerOptions,
    started: AsyncDisposableStack,
  ): Promise<PgBouncer> {
    const port = await freePort();
    const pooler = new PgBouncer(options, port, join(place.directory, `pgbouncer-${port}`));
    const users = Object.entries({ ...options.users, [admin]: "" });
    await writeFile(
      pooler.#users,
      users.map(([user, password]) => `"${user}" "${password}"\n`),
    );
    await pooler.#writeSettings();
    const program = new Program(place, "/usr/sbin/pgbouncer", [pooler.#file]);
    started.defer(() => program.kill());
    await program.listensOn(port);
    return pooler;
  }

  urlOf(database: string, user: string): string {
    return `postgres://${user}@127.0.0.1:${this.port}/${database}`;
  }

  /** Closes each connection to the server as soon as it is idle, as `server_lifetime` does. */
  async reconnect(): Promise<void> {
    await this.#command("reconnect");
  }

  /** Sends new transactions to another server. */
  async switchTo(serverPort: number): Promise<void> {
    this.#serverPort = serverPort;
    await this.#writeSettings();
    await this.#command("reload");
  }

  async #command(command: string): Promise<void> {
    await runSql(this.urlOf("pgbouncer", admin), command);
  }

  get #users(): string {
    return `${this.#file}.users`;
  }

  async #writeSettings(): Promise<void> {
    const lines = [
      "[databases]",
      `* = host=127.0.0.1 port=${this.#serverPort}`,
      "[pgbouncer]",
      "listen_addr = 127.0.0.1",
      `listen_port = ${this.port}`,
      "unix_socket_dir =",
      "auth_type = trust",
      `auth_file = ${this.#users}`,
      `admin_users = ${admin}`,
      "pool_mode = transaction",
      `default_pool_size = ${this.#options.poolSize}`,
      "max_client_conn = 1000",
      // PgBouncer's default is 15 seconds, during which it refuses every client after one failed login to the server.
      "server_login_retry = 1",
      ...(this.#options.settings ?? []),
    ];
    await writeFile(this.#file, `${lines.join("\n")}\n`);
  }
}

const admin = "pooler_admin";
