import { type SchemaMigration, inOrder } from "./schema-migration.ts";

export const creationRequests: SchemaMigration = {
  up: inOrder([
    // Creations with a request id, which may be repeated. A row is written with its session. After 10 minutes a creation with the
    // same id replaces it, and the purge deletes it. The purge walks the primary key: an index by time would cost every such
    // creation a second index entry.
    `create table creation_requests (
      project_id text not null,
      request_id text not null,
      fingerprint bytea not null, -- SHA-256 of the request
      session_id uuid not null,
      sealed_token bytea not null, -- AES-256-GCM
      master_key_id text not null,
      create_time timestamptz not null, -- by the database's clock
      primary key (project_id, request_id)
    )`,
  ]),
};
