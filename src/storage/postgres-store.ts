import { type Kysely, sql } from "kysely";
import { currentDeadline } from "../domain/deadline.ts";
import { type RevocationOrder, type RevocationReceipt, isCutoff } from "../domain/revocations/revocation.ts";
import type { CreationWithinLimit, Store } from "../domain/store.ts";
import { WaitingRoom } from "../domain/concurrency-limit.ts";
import { Answers } from "./connection/liveness.ts";
import { type BatchLimits, type BatchRun, Batcher } from "./batcher.ts";
import { findCertified } from "./projects/certificate-names.ts";
import { ProjectBatchers } from "./project-batchers.ts";
import { type LimitedCreation, createWithinLimits } from "./sessions/limited-creation.ts";
import { findCredentials, findProjects, projectStore } from "./projects/projects.ts";
import { listRevocations } from "./revocations/list.ts";
import { firstThatMatters, oldestResumable, readRevocations } from "./revocations/log-reads.ts";
import { recordRevocations } from "./revocations/writes.ts";
import { findByIds, findByTokens, findOwners, listSessions } from "./sessions/reads.ts";
import { createSessions } from "./sessions/creation.ts";
import { type Access, countActive, extendSession, isMemberOf, recordAccesses } from "./sessions/writes.ts";
import {
  findGoodSigningKeys,
  findSigningLines,
  listAllSigningKeys,
  signingKeyStore,
} from "./keys/signing-keys.ts";
import { reading, writing } from "./connection/statement-bounds.ts";
import { replaceToken } from "./sessions/token-rotation.ts";
import type { Tables } from "./schema/tables.ts";
import { translatingFailures } from "./connection/database-errors.ts";

/** Look-ups run two at a time, so that a lone caller rarely finds one under way. */
const lookups: BatchLimits = { maxItems: 500, maxRunning: 2 };
/** Two at a time, as for look-ups: the one commits while the other is put together. */
const creations: BatchLimits = { maxItems: 200, maxRunning: 2 };
/** Logins that count sessions first; one transaction at a time, as more would wait for each other's members. */
const limitedCreations: BatchLimits = { maxItems: 50, maxRunning: 1 };
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
  /** Most calls that wait for what they read, and most for what they write: if writes stall, reads need not. */
  readonly maxWaiting?: number | undefined;
  /** Told what a batch asks of the database, and how many calls share it. */
  readonly onBatch?: ((kind: string, size: number) => void) | undefined;
}

/** The store on Postgres. */
export function postgresStore(db: Kysely<Tables>, options: PostgresStoreOptions): Store {
  const { onLostAccess, notify, maxWaiting = Infinity, onBatch } = options;
  const answers = new Answers();
  const readers = new WaitingRoom(maxWaiting);
  const writers = new WaitingRoom(maxWaiting);
  const told = <Item, Result>(kind: string, find: Find<Item, Result>): Find<Item, Result> =>
    onBatch === undefined ? find : (db, items) => (onBatch(kind, items.length), find(db, items));
  const look = <Item, Result>(kind: string, find: Find<Item, Result>) =>
    new Batcher(batched(db, answers, told(kind, find), reading), lookups, readers);
  const byId = look("sessions by id", findByIds);
  const byToken = look("sessions by token", findByTokens);
  const owners = look("owners", findOwners);
  const projects = look("projects", findProjects);
  const credentials = look("credentials", findCredentials);
  const certified = look("certificates", findCertified);
  const signingLines = look("signing keys", findSigningLines);
  const allSigningKeys = look("all signing keys", listAllSigningKeys);
  const goodSigningKeys = look("good signing keys", findGoodSigningKeys);
  const create = batched(db, answers, told("creations", createSessions), writing);
  const creation = new Batcher(create, creations, writers);
  // A room of their own: nobody waits for them, and so they must not keep anybody out.
  const note = batched(db, answers, told("accesses", recordAll), unbounded);
  const access = new Batcher(note, accesses, new WaitingRoom(maxWaiting));
  const revocation = new ProjectBatchers((projectId) => {
    const record = (db: Kysely<Tables>, orders: readonly RevocationOrder[]) =>
      recordRevocations(db, projectId, orders, notify);
    return new Batcher(batched(db, answers, told("revocations", record), writing), revocations, writers);
  });
  const limitedCreation = new ProjectBatchers((projectId) => {
    const create = (db: Kysely<Tables>, items: readonly LimitedCreation[]) =>
      createWithinLimits(db, projectId, items, notify);
    const run = batched<LimitedCreation, CreationWithinLimit>(
      db,
      answers,
      told("limited creations", create),
      writing,
    );
    return new Batcher(run, limitedCreations, writers);
  });
  const counter = new Batcher(countOne(db, answers), counts, readers);
  const count: Store["countActive"] = (...item) => counter.submit(item);
  const { listProjects, listCredentials, ...projectChanges } = projectStore(db);
  const isMember: Store["isMemberOf"] = (...args) => isMemberOf(db, ...args);
  const extend: Store["extendSession"] = (...args) => extendSession(db, ...args);
  const replace: Store["replaceToken"] = (replacement) => replaceToken(db, replacement);
  const list: Store["listRevocations"] = (query) => listRevocations(db, query);
  const reads = { listProjects, listCredentials, isMemberOf: isMember, listRevocations: list };
  const servedReads = served(reads, answers, readers, reading);
  const servedWrites = served(
    { ...projectChanges, extendSession: extend, replaceToken: replace },
    answers,
    writers,
    writing,
  );
  // What is done about a project's keys is done once for all who need it, so nobody's deadline ends it.
  const keys = served(signingKeyStore(db), answers, readers, unbounded);
  return {
    ...servedReads,
    ...servedWrites,
    ...keys,
    listSessions: (query) => {
      const list = () => answers.to(() => listSessions(db, query));
      return readers.during(() => reading(currentDeadline(), list, query.signal));
    },
    findProject: (id) => projects.submit(id),
    findCredentials: (projectId) => credentials.submit(projectId),
    findCertified: (names) => certified.submit(names),
    signingLine: (projectId, now) => signingLines.submit({ projectId, now }),
    listSigningKeys: (projectId) => allSigningKeys.submit(projectId),
    isSigningKeyGood: (projectId, kid) => goodSigningKeys.submit({ projectId, kid }),
    createSession: (session, tokenHash) => creation.submit({ session, tokenHash }),
    createSessionWithin: (session, tokenHash, limit) =>
      limitedCreation.submit(session.projectId, { session, tokenHash, limit }),
    findSession: (projectId, id) => byId.submit({ projectId, id }),
    findOwner: (projectId, target) => owners.submit({ projectId, target }),
    findSessionByToken: (token) => byToken.submit(token),
    recordAccess: ({ projectId, id }, time) => {
      access.submit({ projectId, id, time }).catch(onLostAccess);
    },
    revoke: revoker(revocation, count),
    countActive: count,
    ...translated({
      // Feeds read for all who watch: were they refused, every watcher would come back as a call.
      readRevocations: (...args) => readRevocations(db, ...args),
      oldestResumable: (projectId) => oldestResumable(db, projectId),
      firstThatMatters: (...args) => firstThatMatters(db, ...args),
    } satisfies Partial<Store>),
    // That many wait does not mean that the database does not answer.
    ping: () => answers.any(() => sql`select 1`.execute(db)),
  };
}

/**
 * Revocations of one project share transactions; those of different projects do not wait for each other. A cutoff's count is
 * taken just before, on its own: under the project's lock it would hold up every other revocation for as long as it takes.
 */
function revoker(
  revocation: ProjectBatchers<RevocationOrder, RevocationReceipt | undefined>,
  countActive: Store["countActive"],
): Store["revoke"] {
  return async (order) => {
    const { projectId, target, time } = order;
    const counted = order.count && isCutoff(target) ? await countActive(projectId, target, time) : undefined;
    const receipt = await revocation.submit(projectId, order);
    return receipt && (counted === undefined ? receipt : { ...receipt, revokedCount: counted });
  };
}

/** Answers all items at their places. */
type Find<Item, Result> = (db: Kysely<Tables>, items: readonly Item[]) => Promise<readonly Result[]>;

/** Runs statements until a deadline: {@link reading}, {@link writing} or {@link unbounded}. */
type Bounding = <T>(deadline: number, work: () => T) => T;

const unbounded: Bounding = (_deadline, work) => work();

function batched<Item, Result>(
  db: Kysely<Tables>,
  answers: Answers,
  run: Find<Item, Result>,
  bounding: Bounding,
): BatchRun<Item, Result> {
  return (items, deadline) => bounding(deadline, () => answers.to(() => run(db, items)));
}

const recordAll: Find<Access, undefined> = async (db, accesses) => {
  await recordAccesses(db, accesses);
  return accesses.map(() => undefined);
};

/** Counts what one call asks for: others would have to wait for it. */
function countOne(db: Kysely<Tables>, answers: Answers): BatchRun<Parameters<Store["countActive"]>, number> {
  const countAll = (items: readonly Parameters<Store["countActive"]>[], deadline: number) =>
    items.map(([projectId, target, now, signal]) => {
      const count = () => answers.to(() => countActive(db, projectId, target, now));
      return reading(deadline, count, signal);
    });
  return (items, deadline) => Promise.all(countAll(items, deadline));
}

/** The same methods, each for one call, which waits in `room` and until its deadline at most. */
function served<T extends { [K in keyof T]: Methods[string] }>(
  methods: T,
  answers: Answers,
  room: WaitingRoom,
  bounding: Bounding,
): T {
  return mapped(methods, (run) => room.during(() => bounding(currentDeadline(), () => answers.to(run))));
}

type Methods = Record<string, (...args: never[]) => Promise<unknown>>;

/** The same methods, with the database's outages told as DATABASE_UNAVAILABLE. */
function translated<T extends { [K in keyof T]: Methods[string] }>(methods: T): T {
  return mapped(methods, translatingFailures);
}

/** The same methods, each run by `run`. */
function mapped<T extends { [K in keyof T]: Methods[string] }>(
  methods: T,
  run: (method: () => Promise<unknown>) => Promise<unknown>,
): T {
  const entries = Object.entries<Methods[string]>(methods).map(([name, method]) => [
    name,
    (...args: never[]) => run(() => method(...args)),
  ]);
  return Object.fromEntries(entries) as T;
}
