import { withDatabaseErrors } from "./database-errors.ts";

/**
 * Records successful queries, so that a health check can rely on recent traffic instead of running its own query: under load
 * that would wait long for a connection although the database answers.
 */
export class DatabaseLiveness {
  readonly #waiting = new Set<() => void>();

  observe(): void {
    for (const resolve of this.#waiting) resolve();
  }

  /** Runs `query`, and resolves with it or with the next query of any other call that succeeds. */
  async ping(query: () => Promise<unknown>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    try {
      await Promise.race([promise, withDatabaseErrors(query)]);
    } finally {
      this.#waiting.delete(resolve);
    }
  }
}
