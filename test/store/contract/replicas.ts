import type { Store } from "../../../src/domain/store.ts";

/** Two stores over the same data, as two replicas have them. */
export interface Replicas {
  readonly one: () => Store;
  readonly other: () => Store;
}
