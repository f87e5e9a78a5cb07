import { sql } from "kysely";
import type { MemberId, ProjectId, SessionId } from "../../domain/ids.ts";
import type { RevocationCommand } from "../../domain/revocation.ts";
import { type SessionLimit, planLogins } from "../../domain/sessions/session-limit.ts";
import type { CreationRequest, CreationWithinLimit } from "../../domain/store/session-store.ts";
import type { CommitGate } from "../connection/server-guard.ts";
import { columnsOf, identityColumns, livenessColumns } from "../schema/columns.ts";
import { type RecordedBatch, recordWithin } from "./writes.ts";
import { type Creation, createSessions } from "../sessions/creation.ts";
import { claimRequests, settleRequests } from "../sessions/creation-requests.ts";
import { newestCutoff, stateIs } from "../sessions/liveness-sql.ts";
import type { Db } from "../schema/tables.ts";

/** A session to store if its member's limit allows it. */
export interface LimitedCreation extends Creation {
  readonly limit: SessionLimit;
  /** Set if the creation may be repeated. */
  readonly request: CreationRequest | undefined;
}

export interface LimitedCreations extends Pick<RecordedBatch, "head"> {
  readonly outcomes: readonly CreationWithinLimit[];
}

/**
 * Stores sessions of one project within limits, and revokes those that must make room, in one transaction. A lock on each
 * member orders these transactions across replicas, so that each counts what the one before committed. Sessions are stored
 * first: the project's lock comes last, so that it is held for one statement and the commit only. No revocation waits for a
 * member's lock while it holds the project's. A creation that repeats another one takes no part.
 */
export async function createWithinLimits(
  db: Db,
  projectId: ProjectId,
  creations: readonly LimitedCreation[],
  gate: CommitGate,
): Promise<LimitedCreations> {
  const memberIds = [...new Set(creations.map(({ session }) => session.memberId))];
  const now = new Date(Math.max(...creations.map(({ session }) => session.createTime.getTime())));
  return db.transaction().execute(async (transaction) => {
    await lockMembers(transaction, projectId, memberIds);
    const fresh = await claimRequests(transaction, projectId, creations);
    const active = await activeSessions(transaction, projectId, memberIds, now);
    const logins = fresh.map(({ session: { memberId, id }, limit }) => ({ memberId, id, limit }));
    const plans = planLogins(logins, active);
    const admitted = fresh.filter((_, i) => plans[i]?.admitted);
    const stored = admitted.length === 0 ? [] : await createSessions(transaction, admitted);
    const sessions = new Map(admitted.map((creation, i) => [creation, stored[i]]));
    const outcomes = new Map<LimitedCreation, CreationWithinLimit>(
      fresh.map((creation, i) => [
        creation,
        plans[i]?.admitted === true ? sessions.get(creation) : "limit_reached",
      ]),
    );
    const settled = await settleRequests(transaction, projectId, creations, outcomes);
    const commands = fresh.flatMap((creation, i) =>
      sessions.get(creation) === undefined
        ? []
        : (plans[i]?.ends ?? []).map((id) => endCommand(id, creation)),
    );
    if (commands.length === 0) return { outcomes: settled, head: undefined };
    const { head } = await recordWithin(transaction, { projectId, commands, gate });
    return { outcomes: settled, head };
  });
}

/** Locks members until the transaction ends; always in the same order, so that two transactions cannot deadlock. */
async function lockMembers(db: Db, projectId: ProjectId, memberIds: readonly MemberId[]): Promise<void> {
  await sql`
    select pg_advisory_xact_lock(key) from (
      select distinct hashtextextended(${projectId} || '/' || member_id, 0) as key
      from unnest(${memberIds}::text[]) as k (member_id) order by key
    ) locks`.execute(db);
}

/**
 * Finds the ids of the members' active sessions, oldest first. By sessions_by_member; its cost grows with the number of all
 * their sessions, revoked ones included.
 */
async function activeSessions(db: Db, projectId: ProjectId, memberIds: readonly MemberId[], now: Date) {
  const columns = columnsOf("s", [...identityColumns, ...livenessColumns]);
  const { rows } = await sql<{ id: SessionId; member_id: MemberId }>`
    select s.id, s.member_id from (
      select ${columns}, ${newestCutoff({ projectId })} as cutoff
      from unnest(${memberIds}::text[]) as k (member_id)
      cross join lateral (
        select ${columns} from sessions s where s.project_id = ${projectId} and s.member_id = k.member_id offset 0
      ) s
    ) s where ${stateIs("active", now)} order by s.id`.execute(db);
  const ids = Map.groupBy(rows, (row) => row.member_id);
  return new Map([...ids].map(([memberId, found]) => [memberId, found.map(({ id }) => id)]));
}

function endCommand(id: SessionId, { session, limit }: LimitedCreation): RevocationCommand {
  return {
    projectId: session.projectId,
    target: { scope: "session", id },
    time: session.createTime,
    cause: "session_limit",
    reason: "",
    actor: limit.actor,
    actingUser: limit.actingUser,
    count: false,
  };
}
