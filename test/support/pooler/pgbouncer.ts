import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";
import { freePort } from "../../../src/embedded-postgres/supervisor.ts";
import { patience } from "../patience.ts";
import { runSql } from "../postgres/sql.ts";

const debianPath = "/usr/sbin/pgbouncer";

/** Path of Debian's PgBouncer. Where it is missing this is undefined, a line on the console says so, and tests skip. */
export const pgbouncerPath = existsSync(debianPath) ? debianPath : missing();

function missing(): undefined {
  console.warn(`SKIPPED: tests behind a pooler need ${debianPath} (Debian's package pgbouncer)`);
}

/** A running PgBouncer. */
export interface Pooler {
  /** The URLs that it was started for, through it. */
  readonly urls: readonly string[];
  /** Runs a command of its console. `RECONNECT` replaces each server connection when it is next free. */
  readonly command: (text: string) => Promise<unknown>;
  /** Sends its clients to another server from now on. */
  moveTo(url: string): Promise<void>;
}

/** Ids of the unprivileged user of Linux: PgBouncer does not run as root. */
const unprivileged = { uid: 65534, gid: 65534 };

/**
 * Starts PgBouncer in transaction mode before one server, with few server connections for each database and role of the URLs.
 * Stops it with the test.
 */
export async function startPgBouncer(urls: readonly string[], poolSize = 3): Promise<Pooler> {
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), "sessiond-pgbouncer-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const file = (name: string) => join(directory, name);
  const configure = (server: URL) => {
    const settings = [
      "[databases]",
      `* = host=${server.hostname} port=${server.port}`,
      "[pgbouncer]",
      "listen_addr = 127.0.0.1",
      `listen_port = ${port}`,
      "unix_socket_dir =",
      "auth_type = trust",
      `auth_file = ${file("users.txt")}`,
      "admin_users = console",
      "pool_mode = transaction",
      `default_pool_size = ${poolSize}`,
      "max_client_conn = 200",
      // RECONNECT counts a login that it interrupts as failed.
      "server_login_retry = 0",
    ];
    return writeFile(file("pgbouncer.ini"), `${settings.join("\n")}\n`);
  };
  const [server, ...others] = urls.map((url) => new URL(url));
  if (server === undefined) throw new Error("no database");
  await configure(server);
  const roles = new Map([server, ...others].map(({ username, password }) => [username, password]));
  const users = [["console", ""], ...roles].map((user) => user.map((part) => `"${part}"`).join(" "));
  await writeFile(file("users.txt"), `${users.join("\n")}\n`);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) {
    for (const path of [directory, file("pgbouncer.ini"), file("users.txt")]) {
      await chown(path, unprivileged.uid, unprivileged.gid);
    }
  }
  const child = spawn(debianPath, [file("pgbouncer.ini")], { stdio: "ignore", ...(isRoot && unprivileged) });
  const ended = once(child, "exit");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const command = (text: string) => runSql(`postgres://console@127.0.0.1:${port}/pgbouncer`, text);
  await vi.waitUntil(() => command("show version").then(...([() => true, () => false] as const)), patience);
  return {
    // Without options, which PgBouncer refuses.
    urls: urls.map((url) => Object.assign(new URL(url), { host: `127.0.0.1:${port}`, search: "" }).href),
    command,
    async moveTo(url) {
      await configure(new URL(url));
      await command("reload");
    },
  };
}
