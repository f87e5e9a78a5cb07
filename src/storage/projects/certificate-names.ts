import { type Kysely, sql } from "kysely";
import type { CertificateName } from "../../domain/certificate-name.ts";
import { SessiondError } from "../../domain/errors.ts";
import type { NewServiceCredential } from "../../domain/project.ts";
import type { CertifiedService } from "../../domain/store/project-store.ts";
import { columnsOf, projectColumns } from "../schema/columns.ts";
import { type CredentialJson, type ProjectRow, credentialOf, toProject } from "./project-rows.ts";
import type { Tables } from "../schema/tables.ts";

/**
 * Makes names those of a new credential, within its transaction; CERTIFICATE_NAME_EXISTS, which undoes it, where another's
 * that is enabled has one of them. Taken in the order of their text, so that two who want the same ones cannot wait for each
 * other. Whoever waited sees the other's name and not yet its credential; so a name is free only where that is seen disabled.
 */
export async function claimNames(
  transaction: Kysely<Tables>,
  credential: NewServiceCredential,
): Promise<void> {
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

/** For the names of each certificate, at its place, the one service that they are of. */
export async function findCertified(
  db: Kysely<Tables>,
  certificates: readonly (readonly CertificateName[])[],
): Promise<readonly (CertifiedService | undefined)[]> {
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
}

/** A certificate with names of several services is none of theirs: which one called nobody could tell. */
function only([first, ...others]: readonly CertifiedService[]): CertifiedService | undefined {
  const isOne = others.every(({ credential }) => credential.id === first?.credential.id);
  return isOne ? first : undefined;
}
