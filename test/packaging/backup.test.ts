import { appendFile, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { freePort } from "../../src/embedded-postgres/supervisor.ts";
import { reasonOf } from "../support/fixtures/logins.ts";
import { basicAuthorization, testMasterKey } from "../support/fixtures/running-service.ts";
import { sessionsOf } from "../support/fixtures/service-clients.ts";
import { must } from "../support/fixtures/stored.ts";
import { patience } from "../support/patience.ts";
import { childEnvironment } from "../support/process/child.ts";
import { serveProcess } from "../support/process/serve-process.ts";
import { type ServerFolder, bash, serverFolder, serverPrograms } from "../support/process/server-programs.ts";
import { databaseUrl, runSql } from "../support/postgres/sql.ts";

const page = await readFile("src/server/backup.md", "utf8");
const secret = "bootstrap-secret-of-the-backup-test";

/** The example of a kind that begins with these words. */
function example(kind: "sh" | "ini", start: string): string {
  const blocks = Array.from(
    page.matchAll(new RegExp(`^\`\`\`${kind}\n(.*?)^\`\`\``, "gms")),
    ([, block = ""]) => block,
  );
  return must(blocks.find((block) => block.startsWith(start)));
}

/** The example with the folder of the test in place of the server's. */
const within = (folder: ServerFolder, text: string) => text.replaceAll("/var/lib/postgresql", folder.path);

/** A PostgreSQL with the settings of the page, and a database for the service. */
async function startServer(programs: string) {
  const folder = await serverFolder(programs);
  const port = await freePort();
  await folder.run("initdb --pgdata=data --username=postgres --auth=trust --encoding=UTF8 && mkdir archive");
  const settings = within(folder, example("ini", "archive_mode"));
  const configuration = join(folder.path, "data", "postgresql.conf");
  await appendFile(
    configuration,
    `${settings}\nport = ${port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n`,
  );
  const stop = (data: string) => folder.run(`pg_ctl stop --wait --mode=immediate --pgdata=${data}`);
  onTestFinished(() =>
    stop("data")
      .catch(() => stop("restored"))
      .then(
        () => undefined,
        () => undefined,
      ),
  );
  await folder.run("pg_ctl start --wait --pgdata=data --log=data.log");
  const adminUrl = `postgres://postgres@127.0.0.1:${port}/postgres`;
  await runSql(adminUrl, "create database sessiond");
  return { folder, adminUrl, url: databaseUrl(adminUrl, "sessiond"), stop };
}

/** Runs the service while `work` uses it. */
async function serving<T>(
  url: string,
  work: (sessions: ReturnType<typeof sessionsOf>) => Promise<T>,
): Promise<T> {
  const service = serveProcess({
    DATABASE_URL: url,
    SESSIOND_MASTER_KEY: testMasterKey,
    SESSIOND_BOOTSTRAP_PROJECT: `acme:${secret}`,
  });
  const baseUrl = `http://127.0.0.1:${await service.listening}`;
  const done = await work(sessionsOf({ url: baseUrl, basic: basicAuthorization("acme", secret) }));
  service.signal("SIGTERM");
  expect(await service.ended).toBe(0);
  return done;
}

type Sessions = ReturnType<typeof sessionsOf>;
const verdictOn = (sessions: Sessions, token: string) =>
  sessions.authenticate({ credential: { case: "token", value: token } }).then(() => "active", reasonOf);

/**
 * Runs the example that recovers the database, and checks what it prints. The backup has the presence of the service that ran
 * when it was made; it counts as older than it is, because otherwise the example would have to be tried again.
 */
async function recover(folder: ServerFolder, url: string): Promise<void> {
  await runSql(url, "update replicas set renew_time = renew_time - interval '10 seconds'");
  const commands = example("sh", "sessiond migrate");
  const sessiond = `sessiond() { "${process.execPath}" "${resolve("src/cli/main.ts")}" "$@"; }\n`;
  const env = childEnvironment({ DATABASE_URL: url, SESSIOND_MASTER_KEY: testMasterKey });
  const script = commands.replaceAll(/^#> .*$/gm, "echo '#mark'");
  const expected = Array.from(commands.matchAll(/^#> (.*)$/gm), ([, line = ""]) => line);
  const printed = (await bash(sessiond + script, { cwd: folder.path, env })).split("#mark\n");
  for (const [i, line] of expected.entries()) expect(printed[i]).toContain(line);
}

const minutes = 3 * 60_000;

test.skipIf(serverPrograms === undefined)(
  "a dump is restored and recovered with the commands of the page",
  { timeout: minutes },
  async () => {
    const { folder, adminUrl, url } = await startServer(must(serverPrograms));
    const environment = { DATABASE_URL: url, ADMIN_URL: adminUrl, OWNER: "postgres" };
    const [kept, revoked] = await serving(url, async (sessions) => {
      const logins = [await sessions.create({ memberId: "ada" }), await sessions.create({ memberId: "bob" })];
      await folder.run(example("sh", "pg_dump"), environment);
      await sessions.revoke({ target: { case: "token", value: must(logins[1]).token } });
      return logins;
    });
    await folder.run(example("sh", "psql"), environment);
    await recover(folder, url);
    await serving(url, async (sessions) => {
      for (const login of [kept, revoked]) {
        expect(await verdictOn(sessions, must(login).token)).toBe("SESSION_REVOKED_BY_CUTOFF");
      }
      const { token } = await sessions.create({ memberId: "ada" });
      expect(await verdictOn(sessions, token)).toBe("active");
    });
  },
);

test.skipIf(serverPrograms === undefined)(
  "a base backup is restored to a point in time and recovered with the commands of the page",
  { timeout: minutes },
  async () => {
    const { folder, adminUrl, url, stop } = await startServer(must(serverPrograms));
    const replication = { REPLICATION_URL: adminUrl };
    const { early, later, target } = await serving(url, async (sessions) => {
      const before = await sessions.create({ memberId: "ada" });
      await folder.run(within(folder, example("sh", "pg_basebackup")), replication);
      const early = await sessions.create({ memberId: "bob" });
      const [row] = await runSql<{ target: string }>(adminUrl, "select clock_timestamp()::text as target");
      await sessions.revoke({ target: { case: "token", value: before.token } });
      const later = await sessions.create({ memberId: "eve" });
      await runSql(adminUrl, "select pg_switch_wal()");
      return { early, later, target: must(row).target };
    });
    await stop("data");
    await folder.run(within(folder, example("sh", "cp -a")), { TARGET: target });
    await vi.waitUntil(async () => {
      const [row] = await runSql<{ standby: boolean }>(adminUrl, "select pg_is_in_recovery() as standby");
      return row?.standby === false;
    }, patience);
    await recover(folder, url);
    await serving(url, async (sessions) => {
      expect(await verdictOn(sessions, early.token)).toBe("SESSION_REVOKED_BY_CUTOFF");
      expect(await verdictOn(sessions, later.token)).toBe("SESSION_UNKNOWN");
      const { token } = await sessions.create({ memberId: "ada" });
      expect(await verdictOn(sessions, token)).toBe("active");
    });
  },
);
