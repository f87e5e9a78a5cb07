import type { PostgresStore } from "../../../src/storage/postgres-store.ts";

/** Two stores over the same data, as two replicas have them. */
export interface Replicas {
  readonly one: () => PostgresStore;
  readonly other: () => PostgresStore;
}
