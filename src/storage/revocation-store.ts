import type { ProjectId } from "../domain/ids.ts";
import {
  type CutoffTarget,
  type RevocationCommand,
  type RevocationReceipt,
  isCutoff,
} from "../domain/revocation.ts";
import type { Position } from "../domain/revocations/position.ts";
import type { LogHead, LogPage } from "../domain/revocations/revocation-log.ts";
import type { RevocationPage, RevocationQuery, RevocationStore } from "../domain/store/revocation-store.ts";
import { unlimited, withoutCancellation } from "../transport/call-context.ts";
import { type BatchLimits, type Batcher, ProjectBatchers } from "./connection/batcher.ts";
import type { CommitGate } from "./connection/server-guard.ts";
import type { Runners, StatementRunner } from "./connection/statement-runner.ts";
import { listRevocations } from "./revocations/list.ts";
import { oldestRelevant, oldestResumable, readHead, readRevocations } from "./revocations/log-reads.ts";
import { type OnRevocations, recordRevocations } from "./revocations/writes.ts";
import { type CountQuery, countActive } from "./sessions/writes.ts";

/** The project's row lock lets one batch of revocations commit at a time. */
const revocations: BatchLimits = { maxItems: 500, maxRunning: 1 };
/** The duration of these reads grows with the number of sessions: two at a time leave connections to other calls. */
const sessionReads: BatchLimits = { maxItems: 1, maxRunning: 2 };

export class PostgresRevocationStore implements RevocationStore {
  readonly #reads: StatementRunner;
  readonly #background: StatementRunner;
  readonly #gate: CommitGate;
  readonly #revocations: ProjectBatchers<RevocationCommand, RevocationReceipt | undefined>;
  readonly #counts: Batcher<CountQuery, number>;
  readonly #memberLists: Batcher<RevocationQuery, RevocationPage>;

  constructor({ reads, writes, background, gate }: Runners, onRevocations: OnRevocations) {
    this.#gate = gate;
    this.#reads = reads;
    this.#background = background;
    this.#revocations = new ProjectBatchers((projectId) =>
      writes.batcher("revocations", revocations, async (db, commands: readonly RevocationCommand[]) => {
        const { receipts, head } = await recordRevocations(db, { projectId, commands, gate });
        if (head !== undefined) onRevocations(projectId, head);
        return receipts;
      }),
    );
    this.#counts = reads.batcher("counts", sessionReads, (db, queries: readonly CountQuery[]) =>
      Promise.all(queries.map((query) => countActive(db, query))),
    );
    this.#memberLists = reads.batcher(
      "member lists",
      sessionReads,
      (db, queries: readonly RevocationQuery[]) =>
        Promise.all(queries.map((query) => listRevocations(db, query))),
    );
  }

  /**
   * Revocations of one project share transactions. The sessions of a cutoff are counted before, because a count under the
   * project's lock would block all its other revocations.
   */
  async revoke(command: RevocationCommand, call = unlimited): Promise<RevocationReceipt | undefined> {
    const { projectId, target, time } = command;
    const lasting = withoutCancellation(call);
    const revokedCount =
      command.count && isCutoff(target)
        ? await this.countActive(projectId, target, time, lasting)
        : undefined;
    const receipt = await this.#revocations.submit(projectId, command, lasting);
    await this.#gate.passed();
    return receipt && (revokedCount === undefined ? receipt : { ...receipt, revokedCount });
  }

  countActive(projectId: ProjectId, target: CutoffTarget, now: Date, call = unlimited): Promise<number> {
    return this.#counts.submit({ projectId, target, now }, call);
  }

  listRevocations(query: RevocationQuery, call = unlimited): Promise<RevocationPage> {
    if (query.memberId !== undefined) return this.#memberLists.submit(query, call);
    return this.#reads.run(call, (db) => listRevocations(db, query));
  }

  readRevocations(projectId: ProjectId, after: number, limit: number): Promise<LogPage> {
    return this.#background.run(unlimited, (db) => readRevocations(db, projectId, after, limit));
  }

  readHead(projectId: ProjectId, at: number): Promise<LogHead> {
    return this.#background.run(unlimited, (db) => readHead(db, projectId, at));
  }

  oldestResumable(projectId: ProjectId): Promise<Position> {
    return this.#background.run(unlimited, (db) => oldestResumable(db, projectId));
  }

  oldestRelevant(projectId: ProjectId, now: Date): Promise<Position> {
    return this.#background.run(unlimited, (db) => oldestRelevant(db, projectId, now));
  }
}
