import type { PostgresStore } from "../../../src/storage/postgres-store.ts";

/** Two stores on the same data, like two replicas. */
export interface Replicas {
  readonly one: () => PostgresStore;
  readonly other: () => PostgresStore;
}
