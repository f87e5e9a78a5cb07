import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { CertificateName } from "../domain/certificate-name.ts";
import type { CredentialId, ProjectId } from "../domain/ids.ts";
import type { PageRequest } from "../domain/page.ts";
import type { NewServiceCredential, Project } from "../domain/project.ts";
import type {
  CertifiedService,
  ProjectChange,
  ProjectCredentials,
  ProjectDisablement,
  ProjectStore,
} from "../domain/store/project-store.ts";
import { unlimited } from "../transport/call-context.ts";
import { type Batcher, lookups } from "./connection/batcher.ts";
import type { CommitGate } from "./connection/server-guard.ts";
import type { Runners, StatementRunner } from "./connection/statement-runner.ts";
import { claimNames, findCertified } from "./projects/certificate-names.ts";
import { disableProject } from "./projects/disable.ts";
import {
  findCredentials,
  findProjects,
  insertCredential,
  setPolicy,
  toCredential,
  toProject,
} from "./projects/projects.ts";
import type { OnRevocations } from "./revocations/writes.ts";
import { credentialColumns, projectColumns } from "./schema/columns.ts";

export class PostgresProjectStore implements ProjectStore {
  readonly #reads: StatementRunner;
  readonly #writes: StatementRunner;
  readonly #gate: CommitGate;
  readonly #onRevocations: OnRevocations;
  readonly #projects: Batcher<ProjectId, Project | undefined>;
  readonly #credentials: Batcher<ProjectId, ProjectCredentials | undefined>;
  readonly #certified: Batcher<readonly CertificateName[], CertifiedService | undefined>;

  constructor({ reads, writes, gate }: Runners, onRevocations: OnRevocations) {
    this.#gate = gate;
    this.#onRevocations = onRevocations;
    this.#reads = reads;
    this.#writes = writes;
    this.#projects = reads.batcher("projects", lookups, findProjects);
    this.#credentials = reads.batcher("credentials", lookups, findCredentials);
    this.#certified = reads.batcher("certificates", lookups, findCertified);
  }

  createProject(project: Project, credential?: NewServiceCredential, call = unlimited): Promise<boolean> {
    return this.#writes.run(call, (db) =>
      db.transaction().execute(async (transaction) => {
        const { numInsertedOrUpdatedRows } = await transaction
          .insertInto("projects")
          .values({
            id: project.id,
            tag: project.tag,
            display_name: project.displayName,
            environment: project.environment,
            policy: JSON.stringify(project.policy),
            create_time: project.createTime,
          })
          .onConflict((conflict) => conflict.column("id").doNothing())
          .executeTakeFirstOrThrow();
        if (numInsertedOrUpdatedRows === 0n) return false;
        const startId = randomUUID();
        await transaction
          .insertInto("project_revisions")
          .values({
            project_id: project.id,
            revision: 0,
            revision_id: startId,
            start_revision: 0,
            start_id: startId,
            longest_jwt_lifetime_ms: project.policy.jwtLifetime,
          })
          .execute();
        if (credential !== undefined) {
          await insertCredential(transaction, credential);
          await claimNames(transaction, credential);
        }
        return true;
      }),
    );
  }

  findProject(id: ProjectId, call = unlimited): Promise<Project | undefined> {
    return this.#projects.submit(id, call);
  }

  listProjects({ after, size }: PageRequest<ProjectId>, call = unlimited): Promise<readonly Project[]> {
    return this.#reads.run(call, async (db) => {
      const rows = await db
        .selectFrom("projects")
        .select(projectColumns)
        .$if(after !== undefined, (query) => query.where("id", ">", after ?? ""))
        .orderBy("id")
        .limit(size + 1)
        .execute();
      return rows.map(toProject);
    });
  }

  /**
   * Changes a project under its row lock, which no revocation takes. A policy is changed under the lock of the project's
   * revocations too, so that each revocation knows the longest lifetime of the JWTs signed before it.
   */
  updateProject(id: ProjectId, change: (project: Project) => ProjectChange, call = unlimited) {
    return this.#writes.run(call, (db) =>
      db.transaction().execute(async (transaction) => {
        const stored = await transaction
          .selectFrom("projects")
          .select(projectColumns)
          .where("id", "=", id)
          .forNoKeyUpdate()
          .executeTakeFirst();
        if (stored === undefined) return undefined;
        const project = toProject(stored);
        const { displayName = project.displayName, policy } = change(project);
        if (policy !== undefined) await setPolicy(transaction, id, policy);
        if (displayName !== project.displayName) {
          await transaction
            .updateTable("projects")
            .set({ display_name: displayName })
            .where("id", "=", id)
            .execute();
        }
        return { ...project, displayName, policy: policy ?? project.policy };
      }),
    );
  }

  async disableProject(id: ProjectId, details: ProjectDisablement, call = unlimited) {
    const disabled = await this.#writes.run(call, (db) => disableProject(db, id, details, this.#gate));
    if (disabled?.head !== undefined) this.#onRevocations(id, disabled.head);
    await this.#gate.passed();
    return disabled?.project;
  }

  createCredential(credential: NewServiceCredential, call = unlimited): Promise<boolean> {
    return this.#writes.run(call, async (db) => {
      if (credential.certificateNames.length === 0) return insertCredential(db, credential);
      return db.transaction().execute(async (transaction) => {
        if (!(await insertCredential(transaction, credential))) return false;
        await claimNames(transaction, credential);
        return true;
      });
    });
  }

  listCredentials(projectId: ProjectId, page: PageRequest<CredentialId>, call = unlimited) {
    return this.#reads.run(call, async (db) => {
      const rows = await db
        .selectFrom("service_credentials")
        .select(credentialColumns)
        .where("project_id", "=", projectId)
        .$if(page.after !== undefined, (query) => query.where("id", "<", page.after ?? ""))
        .orderBy("id", "desc")
        .limit(page.size + 1)
        .execute();
      return rows.map(toCredential);
    });
  }

  disableCredential(projectId: ProjectId, id: CredentialId, time: Date, call = unlimited) {
    return this.#writes.run(call, async (db) => {
      const row = await db
        .updateTable("service_credentials")
        .set({ disable_time: sql`coalesce(disable_time, ${time})` })
        .where("project_id", "=", projectId)
        .where("id", "=", id)
        .returning(credentialColumns)
        .executeTakeFirst();
      return row && toCredential(row);
    });
  }

  findCredentials(projectId: ProjectId, call = unlimited): Promise<ProjectCredentials | undefined> {
    return this.#credentials.submit(projectId, call);
  }

  findCertified(names: readonly CertificateName[], call = unlimited): Promise<CertifiedService | undefined> {
    return this.#certified.submit(names, call);
  }
}
