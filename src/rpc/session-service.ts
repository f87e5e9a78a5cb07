import type { ServiceImpl } from "@connectrpc/connect";
import type { SessionService } from "../../gen/session/v1/session_service_pb.ts";
import type { ServiceAccess } from "../auth/access.ts";
import { durationBounds } from "../domain/policy.ts";
import type { RevocationFeeds } from "../domain/revocations/revocation-feeds.ts";
import { maxTokenLength } from "../domain/token.ts";
import { authenticate } from "../domain/use-cases/authenticate.ts";
import { createSession, extendSession } from "../domain/use-cases/create-session.ts";
import type { Dependencies } from "../domain/use-cases/dependencies.ts";
import { listRevocations } from "../domain/use-cases/list-revocations.ts";
import { getSession, listSessions } from "../domain/use-cases/read-sessions.ts";
import { rotateToken } from "../domain/use-cases/rotate-token.ts";
import { revokeAll } from "../domain/use-cases/revoke-all.ts";
import { revoke } from "../domain/use-cases/revoke.ts";
import { callContextOf } from "./call-record.ts";
import { readFields } from "./messages/fields.ts";
import { callerOf, serviceCallerOf } from "./gate.ts";
import { readListRevocations } from "./list-revocations.ts";
import { toRecordedMessage } from "./messages/revocation-messages.ts";
import { toRevocationMessage, toSessionMessage } from "./messages/session-messages.ts";
import { readWatch, watchRevocations } from "./watch-revocations.ts";
import {
  readAuthenticate,
  readCreate,
  readList,
  readRevoke,
  readRevokeAll,
} from "./messages/session-requests.ts";

/** Who may call SessionService. */
export const sessionServiceAccess: ServiceAccess<typeof SessionService> = {
  create: { service: "sessions.create" },
  authenticate: { service: "sessions.authenticate" },
  get: { service: "sessions.read", member: true },
  list: { service: "sessions.read", member: true },
  extend: { service: "sessions.create" },
  rotateToken: { service: "sessions.create" },
  revoke: { service: "sessions.revoke", member: true, revokes: true },
  revokeAll: { service: "sessions.revoke_all", member: true, revokes: true },
  listRevocations: { service: "sessions.read" },
  watchRevocations: { service: "revocations.watch" },
};

/** SessionService on the use cases and the feeds. */
export function sessionService(
  deps: Dependencies,
  feeds: RevocationFeeds,
): ServiceImpl<typeof SessionService> {
  return {
    async create(request, context) {
      const caller = serviceCallerOf(context);
      const created = await createSession(deps, caller, readCreate(request), callContextOf(context));
      return { ...created, session: toSessionMessage(created.session, deps.now()) };
    },
    async authenticate(request, context) {
      const { project } = serviceCallerOf(context);
      const credential = readAuthenticate(request);
      const call = callContextOf(context);
      const { session, jwt } = await authenticate(deps, project, credential, request.issueJwt, call);
      return { session: toSessionMessage(session, deps.now()), jwt };
    },
    async get(request, context) {
      const caller = callerOf(context);
      const id = readFields((fields) => fields.sessionId("id", request.id));
      const session = await getSession(deps, caller, id, callContextOf(context));
      return { session: toSessionMessage(session, deps.now(), caller) };
    },
    async list(request, context) {
      const caller = callerOf(context);
      const page = await listSessions(deps, caller, readList(request), callContextOf(context));
      const now = deps.now();
      const sessions = page.sessions.map((session) => toSessionMessage(session, now, caller));
      return { sessions, nextPageToken: page.nextPageToken };
    },
    async extend(request, context) {
      const { id, lifetime } = readFields((fields) => ({
        id: fields.sessionId("id", request.id),
        lifetime: fields.duration("lifetime", request.lifetime, durationBounds),
      }));
      const caller = serviceCallerOf(context);
      const session = await extendSession(deps, caller, id, lifetime, callContextOf(context));
      return { session: toSessionMessage(session, deps.now()) };
    },
    async rotateToken(request, context) {
      const token = readFields((fields) => fields.text("token", request.token, maxTokenLength, 1));
      const caller = serviceCallerOf(context);
      const rotated = await rotateToken(deps, caller, token, request.issueJwt, callContextOf(context));
      return { ...rotated, session: toSessionMessage(rotated.session, deps.now()) };
    },
    async revoke(request, context) {
      const { target, details } = readRevoke(request);
      const call = callContextOf(context);
      return toRevocationMessage(await revoke(deps, callerOf(context), target, details, call));
    },
    async revokeAll(request, context) {
      const command = readRevokeAll(request);
      const call = callContextOf(context);
      return toRevocationMessage(await revokeAll(deps, callerOf(context), command, call));
    },
    async listRevocations(request, context) {
      const command = readListRevocations(request);
      const page = await listRevocations(deps, serviceCallerOf(context), command, callContextOf(context));
      return { revocations: page.revocations.map(toRecordedMessage), nextPageToken: page.nextPageToken };
    },
    watchRevocations(request, context) {
      const watch = { ...readWatch(request), signal: context.signal };
      return watchRevocations(deps, feeds, serviceCallerOf(context), watch);
    },
  };
}
