import { readDatabaseConfig } from "../../server/config/config.ts";
import type { ConnectionOptions } from "../run/target.ts";
import { CommandFailure } from "../output/failure.ts";
import type { Run } from "../run/command.ts";
import { checkDatabase } from "./database.ts";
import { checkConfiguration, checkDataDirectory, checkNode } from "./environment.ts";
import { type Finding, findingText } from "./finding.ts";
import { checkListenAddress } from "./listen-address.ts";
import { checkService } from "./service.ts";

/** Checks what the service needs and prints each finding at once. Fails if a check fails. */
export async function doctor(run: Run<ConnectionOptions>): Promise<void> {
  const findings: Finding[] = [];
  for await (const finding of check(run)) {
    findings.push(finding);
    await run.output.item(findingText(finding));
  }
  const failed = findings.filter(({ status }) => status === "fail").length;
  await run.output.document({ ok: failed === 0, findings: findings.map((finding) => ({ ...finding })) });
  if (failed > 0) throw new CommandFailure(failed === 1 ? "1 check failed" : `${failed} checks failed`);
}

async function* check(run: Run<ConnectionOptions>): AsyncGenerator<Finding> {
  yield checkNode();
  const { config, findings } = checkConfiguration(run.environment);
  yield* findings;
  const database = readDatabaseConfig(run.environment);
  if ("config" in database) {
    yield* await checkDataDirectory(database.config);
    yield* await checkDatabase(database.config, config);
  }
  if (config !== undefined) yield await checkListenAddress(config);
  yield await checkService(run);
}
