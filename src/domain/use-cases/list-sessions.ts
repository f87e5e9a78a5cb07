import { type Caller, type MemberCaller, hasGrant } from "../caller.ts";
import { SessiondError } from "../errors.ts";
import { type MemberId, type OrganizationId, type SessionId, parseSessionId } from "../ids.ts";
import { cutPage, parsePage } from "../page.ts";
import type { Session, SessionState } from "../sessions/session.ts";
import type { Deps } from "./deps.ts";

/** Which sessions to list; every given filter must hold. */
export interface ListSessions {
  readonly memberId: MemberId | undefined;
  readonly organizationId: OrganizationId | undefined;
  readonly state: SessionState | undefined;
  readonly pageSize: number;
  readonly pageToken: string;
}

/** A page of sessions, newest first; looked for until `signal` aborts. */
export async function listSessions(
  deps: Deps,
  caller: Caller,
  command: ListSessions,
  signal?: AbortSignal,
): Promise<{ sessions: readonly Session[]; nextPageToken: string }> {
  const { memberId, organizationId } = caller.kind === "member" ? reachOf(caller, command) : command;
  if (memberId === undefined && organizationId === undefined) {
    const description = "give member_id, organization_id or both";
    throw new SessiondError("FIELD_INVALID", { violations: [{ field: "member_id", description }] });
  }
  const projectId = caller.project.id;
  const filters = ["sessions", projectId, memberId ?? "", organizationId ?? "", command.state ?? ""];
  const page = parsePage(command.pageSize, command.pageToken, filters, parseSessionId);
  const { state } = command;
  const rows = await deps.store.listSessions({
    projectId,
    memberId,
    organizationId,
    state,
    now: deps.now(),
    page,
    signal,
  });
  const cut = cutPage(rows, page, filters, (session): SessionId => session.id);
  return { sessions: cut.rows, nextPageToken: cut.nextPageToken };
}

/** An end user sees their own sessions; with the grant, their organization's. */
function reachOf(
  caller: MemberCaller,
  { memberId, organizationId }: ListSessions,
): Pick<ListSessions, "memberId" | "organizationId"> {
  const own = caller.session;
  const ofMyself = memberId === own.memberId || (memberId === undefined && organizationId === undefined);
  if (ofMyself) return { memberId: own.memberId, organizationId };
  if (own.organizationId === undefined || !hasGrant(caller, "sessions.read")) {
    throw new SessiondError("CALLER_NOT_ALLOWED");
  }
  if (organizationId !== undefined && organizationId !== own.organizationId) {
    throw new SessiondError("CALLER_NOT_ALLOWED");
  }
  return { memberId, organizationId: own.organizationId };
}
