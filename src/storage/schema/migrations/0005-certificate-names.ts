import { type Kysely, sql } from "kysely";
import type { Migration } from "kysely/migration";

/** Services that call by client certificate. */
export const certificateNames: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};

const statements = [
  // What operators are shown; the version before writes none.
  `alter table service_credentials add column certificate_names text[] not null default '{}'`,

  // Who is called by a name. Its key begins with no project, as the name is what tells the project. A name of a credential that
  // is disabled, which the version before does without a look here, is free to be taken over.
  `create table certificate_names (
    name text primary key,
    project_id text not null,
    credential_id uuid not null
  )`,
];
