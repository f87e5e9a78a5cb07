import { type Kysely, sql } from "kysely";
import type { ProjectId } from "../domain/ids.ts";
import { type RevocationOrder, type RevocationReceipt, isCutoff } from "../domain/revocation.ts";
import type { Store } from "../domain/store.ts";
import { type BatchLimits, Batcher } from "./batcher.ts";
import { findCertified } from "./certificate-names.ts";
import { findCredentials, projectStore } from "./projects.ts";
import { firstThatMatters, oldestResumable, readRevocations } from "./revocation-reads.ts";
import { recordRevocations } from "./revocation-writes.ts";
import { findByIds, findByTokens, findOwners, listSessions } from "./session-reads.ts";
import { createSessions } from "./session-creation.ts";
import { countActive, extendSession, isMemberOf, recordAccesses } from "./session-writes.ts";
import { findGoodSigningKeys, findSigningLines, signingKeyStore } from "./signing-keys.ts";
import type { Tables } from "./tables.ts";
import { translatingFailures } from "./unavailable.ts";

/** Look-ups run two at a time, so that a lone caller rarely finds one under way. */
const lookups: BatchLimits = { maxItems: 500, maxRunning: 2 };
/** Two at a time, as for look-ups: the one commits while the other is put together. */
const creations: BatchLimits = { maxItems: 200, maxRunning: 2 };
/** The project's row lock lets one batch of revocations commit at a time; more would only wait for it. */
const revocations: BatchLimits = { maxItems: 500, maxRunning: 1 };
/** Counting takes as long as there are sessions: two at a time leave connections to others. */
const counts: BatchLimits = { maxItems: 1, maxRunning: 2 };
/** Nobody waits for these. */
const accesses: BatchLimits = { maxItems: 1000, maxRunning: 1 };

/** How a store works. */
export interface PostgresStoreOptions {
  /** Told when an access could not be written down. */
  readonly onLostAccess: (error: unknown) => void;
  /** Whether to notify listeners of committed revocations; not every database that speaks Postgres can. */
  readonly notify: boolean;
}

/** The store on Postgres. */
export function postgresStore(db: Kysely<Tables>, { onLostAccess, notify }: PostgresStoreOptions): Store {
  const byId = new Batcher(batched(db, findByIds), lookups);
  const byToken = new Batcher(batched(db, findByTokens), lookups);
  const owners = new Batcher(batched(db, findOwners), lookups);
  const credentials = new Batcher(batched(db, findCredentials), lookups);
  const certified = new Batcher(batched(db, findCertified), lookups);
  const creation = new Batcher(batched(db, createSessions), creations);
  const signingLines = new Batcher(batched(db, findSigningLines), lookups);
  const goodSigningKeys = new Batcher(batched(db, findGoodSigningKeys), lookups);
  const access = new Batcher(async (items: Parameters<typeof recordAccesses>[1]) => {
    await translatingFailures(() => recordAccesses(db, items));
    return items;
  }, accesses);
  const counter = new Batcher(
    batched(db, (db, items: readonly Parameters<Store["countActive"]>[]) =>
      Promise.all(items.map((item) => countActive(db, ...item))),
    ),
    counts,
  );
  const count: Store["countActive"] = (...item) => counter.submit(item);
  const revoke = revoker(db, notify, count);
  return {
    ...translated(projectStore(db)),
    ...translated(signingKeyStore(db)),
    findCredentials: (projectId) => credentials.submit(projectId),
    findCertified: (names) => certified.submit(names),
    signingLine: (projectId, now) => signingLines.submit({ projectId, now }),
    isSigningKeyGood: (projectId, kid) => goodSigningKeys.submit({ projectId, kid }),
    createSession: (session, tokenHash) => creation.submit({ session, tokenHash }),
    findSession: (projectId, id) => byId.submit({ projectId, id }),
    findOwner: (projectId, target) => owners.submit({ projectId, target }),
    findSessionByToken: async (token, replaced) => {
      const found = await byToken.submit(token);
      return found?.replaced === true && replaced === "refuse" ? undefined : found?.session;
    },
    recordAccess: ({ projectId, id }, time) => {
      access.submit({ projectId, id, time }).catch(onLostAccess);
    },
    revoke,
    countActive: count,
    ...translated({
      listSessions: (query) => listSessions(db, query),
      extendSession: (...args) => extendSession(db, ...args),
      isMemberOf: (...args) => isMemberOf(db, ...args),
      readRevocations: (...args) => readRevocations(db, ...args),
      oldestResumable: (projectId) => oldestResumable(db, projectId),
      firstThatMatters: (...args) => firstThatMatters(db, ...args),
      ping: async () => {
        await sql`select 1`.execute(db);
      },
    } satisfies Partial<Store>),
  };
}

/**
 * Revocations of one project share transactions; those of different projects do not wait for each other. A cutoff's count is
 * taken just before, on its own: under the project's lock it would hold up every other revocation for as long as it takes.
 */
function revoker(db: Kysely<Tables>, notify: boolean, countActive: Store["countActive"]): Store["revoke"] {
  const batchers = new Map<ProjectId, Batcher<RevocationOrder, RevocationReceipt | undefined>>();
  return async (order) => {
    const { projectId, target, time } = order;
    const counted = order.count && isCutoff(target) ? await countActive(projectId, target, time) : undefined;
    const record = (orders: readonly RevocationOrder[]) =>
      translatingFailures(() => recordRevocations(db, projectId, orders, notify));
    const batcher = batchers.get(projectId) ?? new Batcher(record, revocations);
    batchers.set(projectId, batcher);
    try {
      const receipt = await batcher.submit(order);
      return receipt && (counted === undefined ? receipt : { ...receipt, revokedCount: counted });
    } finally {
      if (batcher.idle) batchers.delete(projectId);
    }
  };
}

function batched<Item, Result>(
  db: Kysely<Tables>,
  run: (db: Kysely<Tables>, items: readonly Item[]) => Promise<readonly Result[]>,
): (items: readonly Item[]) => Promise<readonly Result[]> {
  return (items) => translatingFailures(() => run(db, items));
}

type Methods = Record<string, (...args: never[]) => Promise<unknown>>;

/** The same methods, with the database's outages told as DATABASE_UNAVAILABLE. */
function translated<T extends { [K in keyof T]: Methods[string] }>(methods: T): T {
  const entries = Object.entries<Methods[string]>(methods).map(([name, method]) => [
    name,
    (...args: never[]) => translatingFailures(() => method(...args)),
  ]);
  return Object.fromEntries(entries) as T;
}
