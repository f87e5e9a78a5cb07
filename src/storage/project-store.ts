import { sql } from "kysely";
import type { CertificateName } from "../domain/certificate-name.ts";
import type { CredentialId, ProjectId } from "../domain/ids.ts";
import type { PageRequest } from "../domain/page.ts";
import type { Policy } from "../domain/policy.ts";
import type { NewServiceCredential, Project, ShownCredential } from "../domain/project.ts";
import type { CertifiedService, ProjectCredentials, ProjectStore } from "../domain/store/project-store.ts";
import { type CallContext, unlimited } from "../transport/call-context.ts";
import { type Batcher, lookups } from "./connection/batcher.ts";
import type { Runners, StatementRunner } from "./connection/statement-runner.ts";
import { findCertified } from "./projects/certificate-names.ts";
import { toCredential, toProject } from "./projects/project-rows.ts";
import {
  createCredential,
  createProject,
  findCredentials,
  findProjects,
  updatePolicy,
} from "./projects/projects.ts";
import { credentialColumns, projectColumns } from "./schema/columns.ts";

/** Projects and credentials in Postgres. */
export class PostgresProjectStore implements ProjectStore {
  readonly #reads: StatementRunner;
  readonly #writes: StatementRunner;
  readonly #projects: Batcher<ProjectId, Project | undefined>;
  readonly #credentials: Batcher<ProjectId, ProjectCredentials | undefined>;
  readonly #certified: Batcher<readonly CertificateName[], CertifiedService | undefined>;

  constructor({ reads, writes }: Runners) {
    this.#reads = reads;
    this.#writes = writes;
    this.#projects = reads.batcher("projects", lookups, findProjects);
    this.#credentials = reads.batcher("credentials", lookups, findCredentials);
    this.#certified = reads.batcher("certificates", lookups, findCertified);
  }

  createProject(
    project: Project,
    credential?: NewServiceCredential,
    call: CallContext = unlimited,
  ): Promise<boolean> {
    return this.#writes.run(call, (db) => createProject(db, project, credential));
  }

  findProject(id: ProjectId, call: CallContext = unlimited): Promise<Project | undefined> {
    return this.#projects.submit(id, call);
  }

  listProjects(
    { after, size }: PageRequest<ProjectId>,
    call: CallContext = unlimited,
  ): Promise<readonly Project[]> {
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

  updatePolicy(id: ProjectId, policy: Policy, call: CallContext = unlimited): Promise<Project | undefined> {
    return this.#writes.run(call, (db) => updatePolicy(db, id, policy));
  }

  disableProject(id: ProjectId, time: Date, call: CallContext = unlimited): Promise<Project | undefined> {
    return this.#writes.run(call, async (db) => {
      const row = await db
        .updateTable("projects")
        .set({ disable_time: sql`coalesce(disable_time, ${time})` })
        .where("id", "=", id)
        .returning(projectColumns)
        .executeTakeFirst();
      return row && toProject(row);
    });
  }

  createCredential(credential: NewServiceCredential, call: CallContext = unlimited): Promise<boolean> {
    return this.#writes.run(call, (db) => createCredential(db, credential));
  }

  listCredentials(
    projectId: ProjectId,
    { after, size }: PageRequest<CredentialId>,
    call: CallContext = unlimited,
  ): Promise<readonly ShownCredential[]> {
    return this.#reads.run(call, async (db) => {
      const rows = await db
        .selectFrom("service_credentials")
        .select(credentialColumns)
        .where("project_id", "=", projectId)
        .$if(after !== undefined, (query) => query.where("id", "<", after ?? ""))
        .orderBy("id", "desc")
        .limit(size + 1)
        .execute();
      return rows.map(toCredential);
    });
  }

  disableCredential(
    projectId: ProjectId,
    id: CredentialId,
    time: Date,
    call: CallContext = unlimited,
  ): Promise<ShownCredential | undefined> {
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

  findCredentials(
    projectId: ProjectId,
    call: CallContext = unlimited,
  ): Promise<ProjectCredentials | undefined> {
    return this.#credentials.submit(projectId, call);
  }

  findCertified(
    names: readonly CertificateName[],
    call: CallContext = unlimited,
  ): Promise<CertifiedService | undefined> {
    return this.#certified.submit(names, call);
  }
}
