import { Client, type QueryResultRow } from "pg";
import { afterAll, beforeAll, vi } from "vitest";
import { patience } from "../patience.ts";

/** Gives a test file a connection whose transaction holds locks, and one that observes who waits for them. */
export function useLocks(opened: { readonly url: string }) {
  let holder: Client;
  let observer: Client;
  beforeAll(async () => {
    holder = new Client({ connectionString: opened.url });
    observer = new Client({ connectionString: opened.url });
    await Promise.all([holder.connect(), observer.connect()]);
  });
  afterAll(() => Promise.all([holder.end(), observer.end()]));
  return {
    hold: (statement: string, values?: unknown[]) => holder.query(statement, values),
    observe: <Row extends QueryResultRow>(statement: string) => observer.query<Row>(statement),
    /** Resolves when `count` statements of the file's stores wait for a lock. */
    waiters: (count: number) =>
      vi.waitUntil(async () => {
        const { rowCount } = await observer.query(
          `select from pg_stat_activity where datname = current_database()
             and application_name = 'sessiond' and wait_event_type = 'Lock'`,
        );
        return rowCount === count;
      }, patience),
  };
}
