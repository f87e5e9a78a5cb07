import { setImmediate } from "node:timers/promises";
import { type Kysely, sql } from "kysely";
import type { ProjectId } from "../../domain/ids.ts";
import type { Tables } from "../schema/tables.ts";
import { revocationChannel, selfTest } from "./listener.ts";

export interface RevocationNotifierOptions {
  readonly db: Kysely<Tables>;
  /** Names this process, which has no use for its own notifications. */
  readonly sender: string;
  /** Called for each statement that failed. Watchers of other replicas are served by polling meanwhile. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Tells other replicas which projects have new revocations, after these were committed: one statement at a time, for all
 * projects since the one before. Notifications are hints.
 *
 * Rejected: NOTIFY in the transaction of the revocation. It takes a lock on the whole database until the commit has reached the
 * synchronous standby, so that revocations of all projects commit one after another.
 */
export class RevocationNotifier {
  readonly #options: RevocationNotifierOptions;
  readonly #pending = new Set<ProjectId>();
  #running: Promise<void> | undefined;

  constructor(options: RevocationNotifierOptions) {
    this.#options = options;
  }

  notify(projectId: ProjectId): void {
    this.#pending.add(projectId);
    this.#running ??= this.#run();
  }

  /** Sends what {@link RevocationListener} awaits to know that notifications arrive. */
  async sendTest(nonce: string): Promise<void> {
    await this.#send([selfTest + nonce]);
  }

  /** Resolves when all notifications have been sent, or have failed. */
  async drain(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#pending.size > 0) {
      // After the answers to the revocations of this turn.
      await setImmediate();
      const projects = [...this.#pending];
      this.#pending.clear();
      await this.#send(projects).catch(this.#options.onFailure);
    }
    this.#running = undefined;
  }

  /** Does not wait for its commit to be durable or replicated, while which it would hold the lock. */
  async #send(subjects: readonly string[]): Promise<void> {
    const { db, sender } = this.#options;
    await sql`
      select set_config('synchronous_commit', 'off', true), pg_notify(${revocationChannel}, id || ${` ${sender}`})
      from unnest(${subjects}::text[]) as k (id)`.execute(db);
  }
}
