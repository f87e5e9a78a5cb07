import { type RawBuilder, type Selectable, sql } from "kysely";
import type { MemberId, OrganizationId } from "../../domain/ids.ts";
import { jwtLifetimeBounds } from "../../domain/policy.ts";
import type { RecordedRevocation } from "../../domain/revocations/revocation-log.ts";
import type { RevocationPage, RevocationQuery } from "../../domain/store/revocation-store.ts";
import { clockToleranceMs, jwtRelevanceMarginMs } from "../../jwt/claims.ts";
import { columnsOf, recordedColumns } from "../schema/columns.ts";
import { revocationAt } from "../sessions/liveness-sql.ts";
import { toActingUser } from "../sessions/rows.ts";
import { toLogged } from "./log-reads.ts";
import { revisionsOfMember } from "./member-revocations.ts";
import type { Db, RevocationsTable } from "../schema/tables.ts";

/** Most revocations that are read for one page. */
const maxVisited = 5000;

/** Longest time from a call to the commit of its revocation, in milliseconds. */
const longestCommit = 600_000;

/**
 * Longest time from a revocation's time, which is that of its replica, to the end of its relevance, which is that of the database,
 * in milliseconds; except of a signing key. The revocations before and after it may come from two other replicas.
 */
const longestRelevance = jwtLifetimeBounds.max + jwtRelevanceMarginMs + longestCommit + 2 * clockToleranceMs;

type RecordedRow = Pick<Selectable<RevocationsTable>, (typeof recordedColumns)[number]>;
type Row = { [Column in keyof RecordedRow]: RecordedRow[Column] | null } & {
  readonly visited: number;
  readonly last: number;
};

/**
 * Lists revocations, newest first. The times narrow the range of revisions by revocations_by_matter_until. Within the range the
 * log is read backwards, by its primary key, or by revocations_by_target for a target. A session as target has its revision.
 * For a member, {@link revisionsOfMember} finds the revisions.
 */
export async function listRevocations(db: Db, query: RevocationQuery): Promise<RevocationPage> {
  const { startTime = null, endTime = null, actor = null, actingUser = null, scope = null, page } = query;
  const isFiltered = [startTime, endTime, actor, actingUser, scope].some((filter) => filter !== null);
  const limit = isFiltered ? maxVisited : page.size + 1;
  const { rows } = await sql<Row>`
    with page as materialized (
      select ${columnsOf("r", recordedColumns)},
        r.revoke_time >= coalesce(${startTime}::timestamptz, '-infinity')
          and r.revoke_time < coalesce(${endTime}::timestamptz, 'infinity')
          and r.actor = coalesce(${actor}, r.actor) and r.acting_user = coalesce(${actingUser}, r.acting_user)
          and r.scope = coalesce(${scope}, r.scope) ${query.memberId === undefined ? sql`` : ofTarget(query)} as fits
      from ${candidates(query, limit)}
      order by r.revision desc limit ${limit}
    )
    select ${columnsOf("shown", recordedColumns)}, whole.visited, whole.last
    from (select count(*) as visited, min(revision) as last from page) whole
    left join (
      select ${columnsOf("page", recordedColumns)} from page where fits order by revision desc limit ${page.size + 1}
    ) shown on true
    order by shown.revision desc`.execute(db);
  const { visited = 0, last = 0 } = rows[0] ?? {};
  const found = rows.flatMap((row) => (isPresent(row) ? [toRecorded(row)] : []));
  const revocations = found.slice(0, page.size);
  const isCut = found.length > page.size;
  const goesOn = isCut || visited === limit;
  return { revocations, next: goesOn ? (isCut ? revocations.at(-1)?.revision : last) : undefined };
}

/** The newest `limit` revocations `r` within the range; of the member, or else of the target. */
function candidates(query: RevocationQuery, limit: number): RawBuilder<unknown> {
  const { projectId, memberId, page } = query;
  const inRange = (revision: string) => sql`
        ${sql.ref(revision)} > ${before(query)} and ${sql.ref(revision)} < ${from(query)}
        and ${sql.ref(revision)} < ${Number(page.after ?? Number.MAX_SAFE_INTEGER)}`;
  if (memberId === undefined) {
    return sql`revocations r where r.project_id = ${projectId} and ${inRange("r.revision")} ${ofTarget(query)}`;
  }
  return sql`(
        select e.revision from (${revisionsOfMember(projectId, memberId)}) e
        where ${inRange("e.revision")} order by e.revision desc limit ${limit}
      ) e
      cross join lateral ${revocationAt(sql`${projectId}`, sql`e.revision`, recordedColumns)} r`;
}

/** A revision before the start: the last one that is not relevant any more at the start. */
function before({ projectId, startTime }: RevocationQuery): RawBuilder<number> {
  const time = startTime ?? null;
  return sql`coalesce((
        select revision from revocations where project_id = ${projectId} and matter_until_time <= ${time}::timestamptz
        order by matter_until_time desc limit 1), 0)`;
}

/** A revision after the end: the first one that is relevant for longer than any revocation made before the end. */
function from({ projectId, endTime }: RevocationQuery): RawBuilder<number> {
  const time = endTime === undefined ? null : new Date(endTime.getTime() + longestRelevance);
  return sql`coalesce((
        select revision from revocations
        where project_id = ${projectId} and matter_until_time >= ${time}::timestamptz and scope <> 'signing_key'
        order by matter_until_time limit 1), ${Number.MAX_SAFE_INTEGER})`;
}

function ofTarget({ projectId, scope, targetId }: RevocationQuery): RawBuilder<unknown> {
  if (targetId === undefined) return sql``;
  if (scope === "session") {
    // Not `=`, for the reason that revocationAt gives.
    const revision = sql`(
        select s.revoked_revision from sessions s where s.project_id = ${projectId} and s.id = ${targetId}::uuid)`;
    return sql`and r.revision between ${revision} and ${revision}`;
  }
  return sql`and r.scope = ${scope} and r.scope <> 'session' and r.target_id = ${targetId}`;
}

function isPresent(row: Row): row is RecordedRow & Row {
  return row.revision !== null;
}

function toRecorded(row: RecordedRow): RecordedRevocation {
  return {
    ...toLogged(row),
    actor: row.actor,
    actingUser: toActingUser(row.acting_user),
    reason: row.reason,
    memberId: (row.member_id ?? undefined) as MemberId | undefined,
    organizationId: (row.organization_id ?? undefined) as OrganizationId | undefined,
  };
}
