import { newKeyMaterial } from "../../domain/keys/key-material.ts";
import { type MasterKey, masterKeyOf } from "../../domain/keys/sealing.ts";
import { algorithmOf } from "../../domain/keys/signing-key.ts";
import { withDatabaseErrors } from "../../storage/connection/database-errors.ts";
import { type RecoveredProject, recoverProject } from "../../storage/recovery/project-recovery.ts";
import {
  type ProjectToRecover,
  type Recovery,
  type RecoveryOptions,
  beginRecovery,
  finishRecovery,
  presenceSeconds,
  projectsToRecover,
  recoveryToContinue,
  servingProcesses,
} from "../../storage/recovery/recoveries.ts";
import type { Db } from "../../storage/schema/tables.ts";
import type { DatabaseConfig } from "../config/config.ts";
import { existingMasterKey } from "../config/data-directory.ts";
import { requireCurrentSchema } from "./maintenance.ts";
import { withOperatorDatabase } from "./operator-database.ts";

export type { ProjectToRecover, RecoveredProject };

export interface OperatorRecoveryOptions extends RecoveryOptions {
  /** Recovers although processes serve from the database. */
  readonly force: boolean;
  readonly dryRun: boolean;
  /** Undefined: the one in the data directory, if the database is the embedded one. */
  readonly masterKey: Buffer | undefined;
  /** Called before anything is changed. Its rejection ends the run. */
  readonly confirm: (plan: RecoveryPlan) => Promise<void>;
  /** Called for each project after it was recovered. `outcome` is undefined if it was recovered before, and in a dry run. */
  readonly onProject: (found: ProjectToRecover, outcome: RecoveredProject | undefined) => Promise<void>;
  /** Ends the run after the current project. */
  readonly signal: AbortSignal;
}

/** What a run is about to do. */
export interface RecoveryPlan {
  /** The interrupted recovery that the run continues. */
  readonly continued: Recovery | undefined;
  /** Number of projects that are not recovered yet. */
  readonly projects: number;
}

/** The recovery after a run; undefined after a dry run of a new one. Without a finish time it was interrupted. */
export type RecoveryOutcome = Recovery | undefined;

/**
 * Recovers the configured database, which was restored from a backup: starts a new history of each project, and revokes what
 * the backup holds. With `dryRun` it only reports the projects. A run that is interrupted at any point is continued by the next
 * one with the same options. Throws DatabaseUnreachable, and an error with a sentence for the operator if the database must not be
 * recovered now.
 */
export async function recoverConfigured(
  config: DatabaseConfig,
  options: OperatorRecoveryOptions,
): Promise<RecoveryOutcome> {
  const { databaseUrl, dataDirectory } = config;
  const masterKey =
    options.masterKey ?? (databaseUrl === undefined ? await existingMasterKey(dataDirectory) : undefined);
  const run = (db: Db) => withDatabaseErrors(() => recover(db, options, masterKey && masterKeyOf(masterKey)));
  const done = await withOperatorDatabase(config, { create: false }, async (db) => ({
    outcome: await run(db),
  }));
  if (done === undefined) throw new Error(`there is no database in ${dataDirectory} to recover`);
  return done.outcome;
}

async function recover(
  db: Db,
  options: OperatorRecoveryOptions,
  masterKey: MasterKey | undefined,
): Promise<RecoveryOutcome> {
  const { dryRun, onProject, signal } = options;
  await requireCurrentSchema(db);
  if (!options.force) await requireStopped(db);
  const continued = await recoveryToContinue(db, options);
  if (dryRun) {
    for await (const found of projectsToRecover(db, continued?.id)) await onProject(found, undefined);
    return continued;
  }
  let projects = 0;
  for await (const { isRecovered } of projectsToRecover(db, continued?.id)) if (!isRecovered) projects++;
  await options.confirm({ continued, projects });
  const recovery = await beginRecovery(db, options);
  for await (const found of projectsToRecover(db, recovery.id)) {
    if (signal.aborted) return recovery;
    const outcome = found.isRecovered ? undefined : await recoverOne(db, recovery, found, masterKey);
    // Another process may have recovered the project meanwhile.
    await onProject({ ...found, isRecovered: outcome === undefined }, outcome);
  }
  return { ...recovery, finishTime: await finishRecovery(db, recovery.id) };
}

/** Why a database must not be served from yet. */
export function unfinishedText({ startTime }: Recovery): string {
  return (
    `the recovery of the database that began at ${startTime.toISOString()} is not finished, and projects that it has not ` +
    "recovered accept what was revoked after the backup: run `sessiond recover` again with the same options"
  );
}

async function requireStopped(db: Db): Promise<void> {
  const serving = await servingProcesses(db);
  if (serving.length === 0) return;
  const names = serving.map(({ name, age }) => `  ${name}, which was there ${age} seconds ago`);
  throw new Error(
    `these processes serve from the database:\n${names.join("\n")}\n` +
      `Stop them and try again ${presenceSeconds} seconds later, or add --force; nothing was changed`,
  );
}

/** Key material is made before the transaction, because an RSA key takes a while. A disabled project signs no more. */
async function recoverOne(
  db: Db,
  { id, keepSessions }: Recovery,
  { project, goodKeys }: ProjectToRecover,
  masterKey: MasterKey | undefined,
): Promise<RecoveredProject | undefined> {
  const needsKey = masterKey !== undefined && goodKeys > 0 && project.disableTime === undefined;
  const newKey = needsKey
    ? await newKeyMaterial(project.id, algorithmOf(project.policy), masterKey)
    : undefined;
  return recoverProject(db, { recoveryId: id, projectId: project.id, keepSessions, newKey });
}
