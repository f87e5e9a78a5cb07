import { sql } from "kysely";
import type { BatchQuery } from "../connection/statement-runner.ts";
import type { CertificateName } from "../../domain/certificate-name.ts";
import { SessiondError } from "../../domain/errors.ts";
import type { NewServiceCredential } from "../../domain/project.ts";
import type { CertifiedService } from "../../domain/store/project-store.ts";
import { columnsOf, projectColumns } from "../schema/columns.ts";
import { type CredentialJson, type ProjectRow, credentialOf, toProject } from "./projects.ts";
import type { Db } from "../schema/tables.ts";

/**
 * Assigns names to a new credential, in its transaction. CERTIFICATE_NAME_EXISTS if another enabled credential has one of them.
 * Rows are inserted in the order of the names, so that two transactions cannot deadlock. After waiting for another
 * transaction, its name is visible here but its credential is not; so a name is free only if its credential is visibly
 * disabled.
 */
export async function claimNames(transaction: Db, credential: NewServiceCredential): Promise<void> {
  const { projectId, id, certificateNames } = credential;
  const { rows } = await sql<{ name: string }>`
    insert into certificate_names as held (name, project_id, credential_id)
    select name, ${projectId}, ${id}::uuid from unnest(${certificateNames}::text[]) name order by name
    on conflict (name) do update set project_id = excluded.project_id, credential_id = excluded.credential_id
    where exists (
      select from service_credentials c
      where c.project_id = held.project_id and c.id = held.credential_id and c.disable_time is not null)
    returning held.name`.execute(transaction);
  const claimed = new Set(rows.map(({ name }) => name));
  const taken = certificateNames.find((name) => !claimed.has(name));
  if (taken !== undefined) {
    throw new SessiondError("CERTIFICATE_NAME_EXISTS", { metadata: { certificate_name: taken } });
  }
}

/** Finds the one service that has names of each certificate. */
export const findCertified: BatchQuery<readonly CertificateName[], CertifiedService | undefined> = async (
  db,
  certificates,
) => {
  const names = [...new Set(certificates.flat())];
  const { rows } = await sql<ProjectRow & { name: string; credential: CredentialJson }>`
    select n.name, ${columnsOf("p", projectColumns)}, jsonb_build_object('id', c.id, 'display_name', c.display_name,
      'permissions', c.permissions, 'create_time', c.create_time) as credential
    from certificate_names n
    join service_credentials c on c.project_id = n.project_id and c.id = n.credential_id and c.disable_time is null
    join projects p on p.id = n.project_id
    where n.name = any(${names}::text[])`.execute(db);
  const byName = new Map(
    rows.map((row) => {
      const project = toProject(row);
      return [row.name, { project, credential: credentialOf(project.id, row.credential) }];
    }),
  );
  return certificates.map((certificate) => only(certificate.flatMap((name) => byName.get(name) ?? [])));
};

/** Undefined if the names belong to several services, because the caller would be ambiguous. */
function only([first, ...others]: readonly CertifiedService[]): CertifiedService | undefined {
  const isOne = others.every(({ credential }) => credential.id === first?.credential.id);
  return isOne ? first : undefined;
}
