import type { JsonValue } from "@bufbuild/protobuf";
import { readMasterKey } from "../../server/config/config.ts";
import {
  type ProjectToRecover,
  type RecoveredProject,
  type RecoveryPlan,
  recoverConfigured,
} from "../../server/operator/recovery.ts";
import { CommandFailure } from "../output/failure.ts";
import { printable } from "../output/table.ts";
import type { Run } from "../run/command.ts";
import { confirmUnless, interruptSignal } from "../run/terminal.ts";
import { withDatabase, wrongConfiguration } from "./database.ts";

type RecoverRun = Run<{
  readonly dryRun: true | undefined;
  readonly yes: true | undefined;
  readonly force: true | undefined;
  readonly keepSessions: true | undefined;
  readonly again: true | undefined;
}>;

/** Recovers a database that was restored from a backup. Prints a line for each project. */
export async function recover({ options, environment, output }: RecoverRun): Promise<void> {
  const read = readMasterKey(environment);
  if ("problems" in read) throw wrongConfiguration(read.problems);
  const dryRun = options.dryRun === true;
  const keepSessions = options.keepSessions === true;
  const projects: JsonValue[] = [];
  let recovered = 0;
  const recovery = await withDatabase(environment, (config) =>
    recoverConfigured(config, {
      dryRun,
      keepSessions,
      force: options.force === true,
      again: options.again === true,
      masterKey: read.masterKey,
      signal: interruptSignal(),
      confirm: async (plan) => {
        if (plan.continued !== undefined) output.note(continuing(plan.continued.startTime));
        await confirmUnless(options.yes, questionOf(plan, keepSessions));
      },
      onProject: async (found, outcome) => {
        if (!found.isRecovered) recovered++;
        projects.push(toJson(found, outcome));
        await output.item(printable(`${found.project.id}: ${toText(found, outcome, keepSessions)}`));
      },
    }),
  );
  const isFinished = recovery?.finishTime !== undefined;
  const json = recovery && {
    id: recovery.id,
    startTime: recovery.startTime.toISOString(),
    ...(recovery.finishTime && { finishTime: recovery.finishTime.toISOString() }),
  };
  await output.item(`${dryRun ? "would recover" : "recovered"} ${counted(recovered, "project")}`);
  await output.document({ dryRun, keepSessions, ...(json && { recovery: json }), projects });
  if (dryRun) return;
  if (!isFinished) {
    throw new CommandFailure("interrupted: the same command continues; keep replicas stopped until then");
  }
  if (keepSessions) output.note(keptSessions);
  output.note(enabledAgain);
}

const keptSessions =
  "the sessions of the backup are active, those too that were revoked or logged out after it was made";

const enabledAgain =
  "what was disabled after the backup was made is enabled again: check credentials and projects " +
  "(sessiond credential list, sessiond project list)";

function continuing(startTime: Date): string {
  return (
    `continues the recovery that began at ${startTime.toISOString()}; ` +
    "if the database has been restored since, start a new one with --again"
  );
}

function questionOf({ projects }: RecoveryPlan, keepSessions: boolean): string {
  const revoked = keepSessions ? "session JWT" : "session and session JWT";
  const kept = keepSessions ? `; ${keptSessions}` : ", which logs everyone out";
  return `Revoke every ${revoked} of ${counted(projects, "project")}${kept}?`;
}

function toText(
  { isRecovered, revision, goodKeys }: ProjectToRecover,
  outcome: RecoveredProject | undefined,
  keepSessions: boolean,
): string {
  if (isRecovered) return "recovered before";
  const sessions = keepSessions ? "" : "every session and ";
  if (outcome === undefined) {
    return `at revision ${revision}; would revoke ${sessions}${counted(goodKeys, "signing key")}`;
  }
  const { startRevision, revokedKeys, newKey } = outcome;
  const key = newKey === undefined ? "" : `; new signing key ${newKey}`;
  return `starts at revision ${startRevision}; revoked ${sessions}${counted(revokedKeys.length, "signing key")}${key}`;
}

function toJson(found: ProjectToRecover, outcome: RecoveredProject | undefined): JsonValue {
  const { project, isRecovered, revision, goodKeys } = found;
  if (isRecovered) return { projectId: project.id, state: "recoveredBefore" };
  if (outcome === undefined) {
    return { projectId: project.id, state: "pending", revision: String(revision), signingKeys: goodKeys };
  }
  const { startRevision, revokedKeys, newKey = null } = outcome;
  const revoked = { revokedSigningKeys: [...revokedKeys], newSigningKey: newKey };
  return { projectId: project.id, state: "recovered", startRevision: String(startRevision), ...revoked };
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
