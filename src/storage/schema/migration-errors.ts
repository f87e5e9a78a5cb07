import { DatabaseError } from "pg";

/**
 * Explains why the database refused a statement of a migration, and says how to mend it if the role or the schema is not
 * prepared for sessiond. Returns other errors unchanged, such as those of a database that does not answer.
 */
export function explainedMigrationError(error: unknown): unknown {
  if (!(error instanceof DatabaseError) || !/^(42|3F)/.test(error.code ?? "")) return error;
  return new Error(`could not migrate the database${hintOf(error)}`, { cause: error });
}

const ownSchema =
  'give sessiond a schema of its own: run `create schema sessiond authorization "ROLE"` and ' +
  '`alter role "ROLE" in database "DATABASE" set search_path = sessiond`, with the role and database of its URL';

function hintOf({ code, message }: DatabaseError): string {
  switch (code) {
    case "42501":
      return message.includes("for schema")
        ? `: ${ownSchema}; or run \`sessiond migrate\` as the owner of the database, and serve as a role that may only read and write`
        : ": run `sessiond migrate` as the role that created the schema";
    case "3F000":
      return `: no schema of the search path exists: ${ownSchema}`;
    case "42P07":
      return `: the schema has a table of this name already: ${ownSchema}`;
    default:
      return "";
  }
}
