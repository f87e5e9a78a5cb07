import { sql } from "kysely";
import { ConcurrencyLimit } from "../domain/concurrency-limit.ts";
import type { Store } from "../domain/store/store.ts";
import type { Database } from "./connection/database.ts";
import { type CommitGate, openGate } from "./connection/server-guard.ts";
import { DatabaseLiveness, StatementRunner } from "./connection/statement-runner.ts";
import type { OnRevocations } from "./revocations/writes.ts";
import { PostgresProjectStore } from "./project-store.ts";
import { PostgresRevocationStore } from "./revocation-store.ts";
import { PostgresSessionStore } from "./session-store.ts";
import { PostgresSigningKeyStore } from "./signing-key-store.ts";

export interface PostgresStoreOptions {
  /** Called when an access could not be recorded. */
  readonly onLostAccess: (error: unknown) => void;
  /** Tells watchers of new revocations. */
  readonly onRevocations?: OnRevocations | undefined;
  /** Most calls that wait for reads, and most that wait for writes. */
  readonly maxWaiting?: number | undefined;
  /** Open by default. */
  readonly gate?: CommitGate | undefined;
  /** Called for each batch, with the number of calls that share it. */
  readonly onBatch?: ((kind: string, size: number) => void) | undefined;
}

/** The store on Postgres. Its methods run without a deadline if they are given no call. */
export interface PostgresStore extends Store {
  readonly sessions: PostgresSessionStore;
  readonly revocations: PostgresRevocationStore;
  readonly projects: PostgresProjectStore;
  readonly signingKeys: PostgresSigningKeyStore;
}

export function postgresStore(db: Database, options: PostgresStoreOptions): PostgresStore {
  const {
    onLostAccess,
    maxWaiting = Infinity,
    onBatch,
    gate = openGate,
    onRevocations = () => undefined,
  } = options;
  const liveness = new DatabaseLiveness();
  const runner = (kind: "read" | "write", max: number) =>
    new StatementRunner({ db, liveness, limit: new ConcurrencyLimit(max), kind, onBatch });
  const runners = {
    reads: runner("read", maxWaiting),
    writes: runner("write", maxWaiting),
    accesses: runner("write", maxWaiting),
    background: runner("read", Infinity),
    gate,
  };
  const pings = db.within({ kind: "read", deadline: Infinity, signal: undefined });
  return {
    sessions: new PostgresSessionStore(runners, onRevocations, onLostAccess),
    revocations: new PostgresRevocationStore(runners, onRevocations),
    projects: new PostgresProjectStore(runners, onRevocations),
    signingKeys: new PostgresSigningKeyStore(runners),
    // Outside of the limits: many waiting calls do not mean that the database is down.
    ping: () => liveness.ping(() => sql`select 1`.execute(pings)),
  };
}
