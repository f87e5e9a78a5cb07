import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { readConfig } from "../../server/config/config.ts";
import { startService } from "../../server/service.ts";
import { type Ending, endings } from "./demo-endings.ts";
import { type DemoService, connectDemo } from "./demo-service.ts";
import { table } from "../output/table.ts";

/**
 * Plays the main job against a service of its own, on a database of its own that is removed afterwards: for each way to end a
 * session one is created, shown accepted, ended, and shown refused. Exits 1 if anything went otherwise.
 */
export async function demo(): Promise<void> {
  const dataDirectory = await mkdtemp(join(tmpdir(), "sessiond-demo-"));
  const read = readConfig({
    SESSIOND_LISTEN: "127.0.0.1:0",
    SESSIOND_DATA_DIR: join(dataDirectory, "data"),
    SESSIOND_BOOTSTRAP_PROJECT: "demo:demo-secret",
  });
  if ("problems" in read) throw new Error(read.problems.join("; "));
  process.stdout.write("Starting a service on an embedded PostgreSQL ...\n\n");
  const service = await startService(read.config, pino({ level: "silent" }));
  try {
    const played = await play(connectDemo(`127.0.0.1:${service.port}`, "demo", "demo-secret"));
    process.stdout.write(
      `${table(["#", "ended by", "request", "before", "answer", "after"], played.rows)}\n`,
    );
    process.stdout.write(
      `\n${played.failures === 0 ? "All as it should be." : `${played.failures} went wrong.`}\n`,
    );
    process.exitCode = played.failures === 0 ? 0 : 1;
  } finally {
    await service.stop();
    await rm(dataDirectory, { recursive: true, force: true });
  }
}

async function play(
  service: DemoService,
): Promise<{ rows: readonly (readonly string[])[]; failures: number }> {
  const rows: string[][] = [];
  let failures = 0;
  for (const [i, ending] of endings.entries()) {
    const { row, ok } = await playOne(service, ending);
    rows.push([String(i + 1), ...row]);
    if (!ok) failures++;
  }
  service.close();
  return { rows, failures };
}

async function playOne(
  service: DemoService,
  ending: Ending,
): Promise<{ row: readonly string[]; ok: boolean }> {
  const session = await service.create();
  const other = await service.create(session.memberId);
  const before = await service.authenticate(session.token);
  const answer = await ending.end(service, session, other);
  const after = await service.authenticate(session.token);
  return {
    row: [ending.by, ending.request, before, answer, after],
    ok: before === "accepted" && answer === ending.answer && after.startsWith("refused"),
  };
}
