import { type SchemaMigration, inOrder } from "./schema-migration.ts";

export const certificateNames: SchemaMigration = {
  up: inOrder([
    // For operators; the version before writes none.
    `alter table service_credentials add column certificate_names text[] not null default '{}'`,

    // The credential of each name. The key does not begin with the project, because the name determines the project. The name of
    // a disabled credential may be assigned again; the version before disables credentials without updating this table.
    `create table certificate_names (
      name text primary key,
      project_id text not null,
      credential_id uuid not null
    )`,
  ]),
};
