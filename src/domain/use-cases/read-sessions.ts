import type { CallContext } from "../../transport/call-context.ts";
import { SessiondError } from "../errors.ts";
import { type MemberId, type OrganizationId, type SessionId, parseSessionId } from "../ids.ts";
import { cutPage, parsePage } from "../page.ts";
import type { Session, SessionState } from "../sessions/session.ts";
import { type Caller, type MemberCaller, hasGrant, mayReach } from "./caller.ts";
import type { Dependencies } from "./dependencies.ts";

/**
 * Reads a session of the caller's project, active or not. SESSION_NOT_FOUND both if it does not exist and if the caller may not
 * see it.
 */
export async function getSession(
  { store: { sessions } }: Dependencies,
  caller: Caller,
  id: SessionId,
  call: CallContext,
): Promise<Session> {
  const projectId = caller.project.id;
  if (caller.kind === "member") {
    const owner = await sessions.findOwner(projectId, { scope: "session", id }, call);
    if (owner === undefined || !mayReach(caller, owner, "sessions.read")) {
      throw new SessiondError("SESSION_NOT_FOUND");
    }
  }
  const session = await sessions.findSession(projectId, id, call);
  if (session === undefined) throw new SessiondError("SESSION_NOT_FOUND");
  return session;
}

/** Which sessions to list; every given filter must match. */
export interface ListSessions {
  readonly memberId: MemberId | undefined;
  readonly organizationId: OrganizationId | undefined;
  readonly state: SessionState | undefined;
  readonly pageSize: number;
  readonly pageToken: string;
}

/** Lists a page of sessions, newest first. */
export async function listSessions(
  deps: Dependencies,
  caller: Caller,
  command: ListSessions,
  call: CallContext,
): Promise<{ sessions: readonly Session[]; nextPageToken: string }> {
  const { memberId, organizationId } = caller.kind === "member" ? reachOf(caller, command) : command;
  if (memberId === undefined && organizationId === undefined) {
    const description = "give member_id, organization_id or both";
    throw new SessiondError("FIELD_INVALID", { violations: [{ field: "member_id", description }] });
  }
  const { state } = command;
  const projectId = caller.project.id;
  const filters = ["sessions", projectId, memberId ?? "", organizationId ?? "", state ?? ""];
  const page = parsePage(command.pageSize, command.pageToken, filters, parseSessionId);
  const query = { projectId, memberId, organizationId, state, now: deps.now(), page };
  const rows = await deps.store.sessions.listSessions(query, call);
  const cut = cutPage(rows, page, filters, (session): SessionId => session.id);
  return { sessions: cut.rows, nextPageToken: cut.nextPageToken };
}

/** The filters that an end user may use: their own sessions and, with the grant, their organization's. */
function reachOf(caller: MemberCaller, { memberId, organizationId }: ListSessions) {
  const own = caller.session;
  const isOwn = memberId === own.memberId || (memberId === undefined && organizationId === undefined);
  if (isOwn) return { memberId: own.memberId, organizationId };
  if (own.organizationId === undefined || !hasGrant(caller, "sessions.read")) {
    throw new SessiondError("CALLER_NOT_ALLOWED");
  }
  if (organizationId !== undefined && organizationId !== own.organizationId) {
    throw new SessiondError("CALLER_NOT_ALLOWED");
  }
  return { memberId, organizationId: own.organizationId };
}
