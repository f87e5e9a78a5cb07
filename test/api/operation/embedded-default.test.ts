import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { emptyFolder, sessionsOn } from "./operating.ts";
import { runCommand } from "../../support/process/command.ts";
import { type ServeProcess, serveProcess } from "../../support/process/serve-process.ts";

const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

test(
  "without configuration, prints the commands to try, and keeps all data over a restart",
  { timeout: 90_000 },
  async () => {
    const folder = await emptyFolder();
    const data = join(folder, ".sessiond");
    const first = serveProcess({}, folder);
    const port = await first.listening;
    const file = join(data, "development-secret");
    const secret = (await readFile(file, "utf8")).trim();

    const printed = first.stdout();
    expect(printed).toContain(`sessiond listens on http://127.0.0.1:${port} `);
    expect(printed).toMatch(/project +development/);
    expect(printed).toContain(secret);
    for (const command of ["buf curl", "grpcurl", "curl -s", "sessions:authenticate", "sessions:revoke"]) {
      expect(printed).toContain(command);
    }
    expect(first.stderr()).not.toContain(secret);

    expect(await modeOf(data)).toBe("700");
    expect(await modeOf(file)).toBe("600");
    expect(await modeOf(join(data, "master.key"))).toBe("600");
    const files = (await readdir(data)).filter((name) => name !== "pgdata");
    for (const name of files) expect(await modeOf(join(data, name)), name).toBe("600");

    const pasted = await paste(printed, folder);
    expect(pasted).toContain("session.v1.SessionService/Create");
    const answers = pasted.split("\n").filter((line) => line.startsWith('{"'));
    expect(answers[0]).toContain("SESSION_STATE_ACTIVE");
    expect(answers[1]).toContain('"revokedCount":"1"');
    expect(answers[2]).toContain("SESSION_REVOKED");

    const sessionsAt = (service: ServeProcess) => sessionsOn(service, "development", secret);
    const { token, jwt } = await (await sessionsAt(first)).create({ memberId: "alice" });

    const rival = serveProcess({}, folder);
    expect(await rival.ended).toBe(1);
    expect(rival.stderr()).toContain(`is in use by another sessiond (pid ${first.pid})`);

    first.signal("SIGTERM");
    expect(await first.ended).toBe(0);

    const second = serveProcess({}, folder);
    const sessions = await sessionsAt(second);
    expect(second.stdout()).not.toContain(secret);
    expect(second.stdout()).toContain("development-secret");
    await sessions.authenticate({ credential: { case: "token", value: token } });
    await sessions.authenticate({ credential: { case: "jwt", value: jwt } });
    await sessions.revoke({ target: { case: "token", value: token } });

    // A killed service leaves PostgreSQL running. The next start stops it and loses nothing acknowledged.
    second.signal("SIGKILL");
    expect(await second.ended).toBe("SIGKILL");
    const third = serveProcess({}, folder);
    const last = await sessionsAt(third);
    await expect(last.authenticate({ credential: { case: "token", value: token } })).rejects.toThrow(
      "the session was revoked",
    );
    third.signal("SIGTERM");
    expect(await third.ended).toBe(0);
  },
);

/** Output of the printed commands, except grpcurl, which is not installed. */
async function paste(printed: string, folder: string): Promise<string> {
  const commands = printed
    .split("terminal:\n")[1]
    ?.replaceAll("npx buf", join(process.cwd(), "node_modules/.bin/buf"))
    .replace(/^ *grpcurl .*$/m, "");
  const { status, stdout, stderr } = await runCommand("bash", ["-ec", commands ?? "false"], { cwd: folder });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

test("variables of libpq in the shell do not reach the embedded PostgreSQL", async () => {
  const variables = {
    PGSSLMODE: "require",
    PGOPTIONS: "-c default_transaction_read_only=on",
    PGCLIENT_ENCODING: "LATIN1",
  };
  const service = serveProcess(variables, await emptyFolder());
  await service.listening;
  service.signal("SIGTERM");
  expect(await service.ended).toBe(0);
});

test("a warning of a package is a line of the log", async () => {
  const service = serveProcess(
    {
      DATABASE_URL: "postgres://nobody@127.0.0.1:1/none?sslmode=require",
      SESSIOND_MASTER_KEY: Buffer.alloc(32).toString("base64"),
    },
    await emptyFolder(),
  );
  service.listening.catch(() => undefined);
  expect(await service.ended).toBe(1);
  const lines = service.stderr().split("\n");
  const warned = lines.filter((line) => line.includes("verify-full"));
  expect(warned.map((line) => JSON.parse(line) as unknown)).toEqual([expect.objectContaining({ level: 40 })]);
});
