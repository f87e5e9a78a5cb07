import { type Kysely, sql } from "kysely";
import type { MemberId, ProjectId, SessionId } from "../../domain/ids.ts";
import type { RevocationOrder } from "../../domain/revocations/revocation.ts";
import { type SessionLimit, planLogins } from "../../domain/sessions/session-limit.ts";
import type { CreationWithinLimit } from "../../domain/store.ts";
import { columnsOf, identityColumns, livenessColumns } from "./columns.ts";
import { recordWithin } from "../revocations/writes.ts";
import { type Creation, createSessions } from "./creation.ts";
import { newestCutoff, stateIs } from "./reads.ts";
import type { Tables } from "../schema/tables.ts";

/** A session to store if the member may have one more. */
export interface LimitedCreation extends Creation {
  readonly limit: SessionLimit;
}

/**
 * Stores sessions of one project within limits, and ends those that make room, in one transaction; each answered at its place.
 * The lock on each member lets one such transaction after the other count what the one before has committed, on whatever
 * replicas. Sessions are stored before others end, so that the project's lock, which comes last and which no revocation holds
 * while it waits for a member's, is held for one statement and the commit.
 */
export async function createWithinLimits(
  db: Kysely<Tables>,
  projectId: ProjectId,
  creations: readonly LimitedCreation[],
  notify: boolean,
): Promise<readonly CreationWithinLimit[]> {
  const memberIds = [...new Set(creations.map(({ session }) => session.memberId))];
  const now = new Date(Math.max(...creations.map(({ session }) => session.createTime.getTime())));
  return db.transaction().execute(async (transaction) => {
    await lockMembers(transaction, projectId, memberIds);
    const active = await activeSessions(transaction, projectId, memberIds, now);
    const plans = planLogins(
      creations.map(({ session: { memberId, id }, limit }) => ({ memberId, id, limit })),
      active,
    );
    const admitted = creations.filter((_, i) => plans[i]?.admitted);
    const stored = admitted.length === 0 ? [] : await createSessions(transaction, admitted);
    const sessions = new Map(admitted.map((creation, i) => [creation, stored[i]]));
    const orders = creations.flatMap((creation, i) =>
      sessions.get(creation) === undefined
        ? []
        : (plans[i]?.ends ?? []).map((id) => orderToEnd(projectId, id, creation)),
    );
    if (orders.length > 0) await recordWithin(transaction, projectId, orders, notify);
    return creations.map((creation, i) =>
      plans[i]?.admitted === true ? sessions.get(creation) : "limit_reached",
    );
  });
}

/** Until the transaction ends, and in the order of the locks, so that two transactions never wait for each other. */
async function lockMembers(
  transaction: Kysely<Tables>,
  projectId: ProjectId,
  memberIds: readonly MemberId[],
): Promise<void> {
  await sql`
    select pg_advisory_xact_lock(key) from (
      select distinct hashtextextended(${projectId} || '/' || member_id, 0) as key
      from unnest(${memberIds}::text[]) as k (member_id) order by key
    ) locks`.execute(transaction);
}

/**
 * The ids of the members' active sessions, the oldest first. By sessions_by_member; grows with the number of their sessions,
 * dead ones too.
 */
async function activeSessions(
  transaction: Kysely<Tables>,
  projectId: ProjectId,
  memberIds: readonly MemberId[],
  now: Date,
): Promise<ReadonlyMap<MemberId, readonly SessionId[]>> {
  const columns = columnsOf("s", [...identityColumns, ...livenessColumns]);
  const { rows } = await sql<{ id: SessionId; member_id: MemberId }>`
    select s.id, s.member_id from (
      select ${columns}, ${newestCutoff({ projectId })} as cutoff
      from unnest(${memberIds}::text[]) as k (member_id)
      cross join lateral (
        select ${columns} from sessions s where s.project_id = ${projectId} and s.member_id = k.member_id offset 0
      ) s
    ) s where ${stateIs("active", now)} order by s.id`.execute(transaction);
  const ids = Map.groupBy(rows, (row) => row.member_id);
  return new Map([...ids].map(([memberId, found]) => [memberId, found.map(({ id }) => id)]));
}

function orderToEnd(
  projectId: ProjectId,
  id: SessionId,
  { session, limit }: LimitedCreation,
): RevocationOrder {
  return {
    projectId,
    target: { scope: "session", id },
    time: session.createTime,
    cause: "session_limit",
    reason: "",
    actor: limit.actor,
    count: false,
  };
}
