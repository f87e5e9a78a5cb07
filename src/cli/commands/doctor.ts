import { readDatabaseConfig } from "../../server/config/config.ts";
import type { ConnectionOptions } from "../connection.ts";
import { checkConfiguration, checkNode } from "../doctor/configuration.ts";
import { checkDataDirectory } from "../doctor/data-directory.ts";
import { checkDatabase } from "../doctor/database.ts";
import type { Finding } from "../doctor/finding.ts";
import { checkListening } from "../doctor/listening.ts";
import { checkService } from "../doctor/service.ts";
import { CommandFailure } from "../failure.ts";
import { printable } from "../output/printable.ts";
import type { Run } from "../run.ts";

/** Checks what the service needs, and says of each thing how it is and what to do. Fails where something does. */
export async function doctor(run: Run<ConnectionOptions>): Promise<void> {
  const findings: Finding[] = [];
  for await (const finding of check(run)) {
    findings.push(finding);
    await run.output.item(toLine(finding));
  }
  const failed = findings.filter(({ status }) => status === "fail").length;
  await run.output.document({ ok: failed === 0, findings: findings.map((finding) => ({ ...finding })) });
  if (failed > 0) throw new CommandFailure(failed === 1 ? "1 check failed" : `${failed} checks failed`);
}

async function* check(run: Run<ConnectionOptions>): AsyncGenerator<Finding> {
  yield checkNode();
  const { read, findings } = checkConfiguration(run.environment);
  yield* findings;
  const config = "config" in read ? read.config : undefined;
  const database = readDatabaseConfig(run.environment);
  if ("config" in database) {
    yield* await checkDataDirectory(database.config);
    yield* await checkDatabase(database.config, config);
  }
  if (config !== undefined) yield await checkListening(config);
  yield await checkService(run);
}

function toLine({ check, status, message, mend }: Finding): string {
  const [first = "", ...others] = message.split("\n");
  const lines = [`${status.padEnd(4)}  ${check.padEnd(14)}  ${printable(first)}`];
  for (const other of others) lines.push(`${" ".repeat(22)}${printable(other.trim())}`);
  if (mend !== undefined) lines.push(`${" ".repeat(22)}-> ${printable(mend)}`);
  return lines.join("\n");
}
