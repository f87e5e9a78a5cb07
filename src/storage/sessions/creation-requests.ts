import { sql } from "kysely";
import type { ProjectId, RequestId, SessionId } from "../../domain/ids.ts";
import type { Session } from "../../domain/sessions/session.ts";
import type {
  CreationRequest,
  CreationWithinLimit,
  EarlierCreation,
} from "../../domain/store/session-store.ts";
import type { Db } from "../schema/tables.ts";
import { type Creation, createClaimed } from "./creation.ts";

/** A creation that may be repeated. */
export interface RequestedCreation extends Creation {
  readonly request: CreationRequest;
}

type PerhapsRequested = Creation & { readonly request: CreationRequest | undefined };

/**
 * Stores sessions of one project with one statement, except those whose request id has a session; a second statement reads
 * these. By the primary key of creation_requests.
 */
export async function createOnce(
  db: Db,
  projectId: ProjectId,
  creations: readonly RequestedCreation[],
): Promise<readonly (Session | EarlierCreation | undefined)[]> {
  const stored = await createClaimed(db, creations, claims(projectId, creations));
  const outcomes = new Map(creations.map((creation, i) => [creation, stored[i]]));
  return withEarlier(db, projectId, creations, outcomes);
}

/**
 * Claims the request ids of creations in a transaction. Returns the creations to store: those without a request id, and those
 * whose id has no session. Until the transaction ends, other creations with these ids wait.
 */
export async function claimRequests<T extends PerhapsRequested>(
  transaction: Db,
  projectId: ProjectId,
  creations: readonly T[],
): Promise<readonly T[]> {
  const requested = creations.filter(isRequested);
  if (requested.length === 0) return creations;
  const { rows } = await claims(projectId, requested).execute(transaction);
  const claimed = new Set(rows.map((row) => row.session_id));
  return creations.filter(({ request, session }) => request === undefined || claimed.has(session.id));
}

/**
 * Completes {@link claimRequests}, given the outcome of each creation that it returned. Gives up the claims of those that were not
 * stored, and returns the outcomes of all creations.
 */
export async function settleRequests<T extends PerhapsRequested>(
  transaction: Db,
  projectId: ProjectId,
  creations: readonly T[],
  outcomes: ReadonlyMap<T, CreationWithinLimit>,
): Promise<readonly CreationWithinLimit[]> {
  const unused = creations
    .filter((creation) => outcomes.has(creation) && typeof outcomes.get(creation) !== "object")
    .filter(isRequested)
    .map(({ request }) => request.id);
  if (unused.length > 0) {
    await sql`
      delete from creation_requests
      where project_id = ${projectId} and request_id = any(${unused}::text[])`.execute(transaction);
  }
  return withEarlier(transaction, projectId, creations, outcomes);
}

function isRequested<T extends PerhapsRequested>(creation: T): creation is T & RequestedCreation {
  return creation.request !== undefined;
}

/**
 * Claims each request id for the first of its creations, unless it has a session, and returns the ids of the sessions with a
 * claim. Waits for uncommitted claims of the same ids; in the order of the ids, so that two transactions cannot deadlock. The
 * row of an id that has a session is locked instead. This is a write, whose commit waits until a synchronous standby has
 * everything before it, the earlier creation included. Claims nothing in a disabled project.
 */
function claims(projectId: ProjectId, creations: readonly RequestedCreation[]) {
  const firsts = [...firstsOf(creations).values()];
  const requests = firsts.map(({ request }) => request);
  return sql<{ session_id: SessionId }>`
      insert into creation_requests as r
        (project_id, request_id, fingerprint, session_id, sealed_token, master_key_id, create_time)
      select ${projectId}, k.request_id, k.fingerprint, k.session_id, k.sealed_token, k.master_key_id, now()
      from unnest(
        ${requests.map(({ id }) => id)}::text[],
        ${requests.map(({ fingerprint }) => fingerprint)}::bytea[],
        ${firsts.map(({ session }) => session.id)}::uuid[],
        ${requests.map(({ sealedToken }) => sealedToken)}::bytea[],
        ${requests.map(({ masterKeyId }) => masterKeyId)}::text[]
      ) as k (request_id, fingerprint, session_id, sealed_token, master_key_id)
      where exists (select from projects where id = ${projectId} and disable_time is null)
      order by k.request_id
      on conflict (project_id, request_id) do update set fingerprint = excluded.fingerprint,
        session_id = excluded.session_id, sealed_token = excluded.sealed_token,
        master_key_id = excluded.master_key_id, create_time = excluded.create_time
        where r.create_time <= excluded.create_time - interval '10 minutes'
      returning session_id`;
}

/** The first creation of each request id. */
function firstsOf<T extends RequestedCreation>(creations: readonly T[]): ReadonlyMap<RequestId, T> {
  return new Map(creations.toReversed().map((creation) => [creation.request.id, creation]));
}

/**
 * Completes the outcomes of creations. A repeat gets the earlier creation of its request id; if there is none, the outcome of the
 * first creation of this id in the batch, which was not stored.
 */
async function withEarlier<T extends PerhapsRequested, Outcome>(
  db: Db,
  projectId: ProjectId,
  creations: readonly T[],
  outcomes: ReadonlyMap<T, Outcome>,
): Promise<readonly (Outcome | EarlierCreation | undefined)[]> {
  const requested = creations.filter(isRequested);
  const repeats = requested.filter((creation) => outcomes.get(creation) === undefined);
  if (repeats.length === 0) return creations.map((creation) => outcomes.get(creation));
  const earlier = await findEarlier(db, projectId, [...firstsOf(repeats).keys()]);
  const firsts = firstsOf(requested);
  return creations.map((creation) => {
    const outcome = outcomes.get(creation);
    if (outcome !== undefined || !isRequested(creation)) return outcome;
    const { id } = creation.request;
    const first = firsts.get(id);
    return earlier.get(id) ?? (first && outcomes.get(first));
  });
}

/** Finds creations by request id, in an enabled project. Not by time: what a claim has found too young to replace is valid. */
async function findEarlier(
  db: Db,
  projectId: ProjectId,
  ids: readonly RequestId[],
): Promise<ReadonlyMap<RequestId, EarlierCreation>> {
  const { rows } = await sql<{
    request_id: RequestId;
    fingerprint: Buffer;
    session_id: SessionId;
    sealed_token: Buffer;
    master_key_id: string;
  }>`
    select request_id, fingerprint, session_id, sealed_token, master_key_id from creation_requests
    where project_id = ${projectId} and request_id = any(${ids}::text[])
      and exists (select from projects where id = ${projectId} and disable_time is null)`.execute(db);
  return new Map(
    rows.map((row) => {
      const { request_id: id, fingerprint, sealed_token: sealedToken, master_key_id: masterKeyId } = row;
      const request = { id, fingerprint, sealedToken, masterKeyId };
      return [id, { request, sessionId: row.session_id }];
    }),
  );
}
