import type { ServiceImpl } from "@connectrpc/connect";
import type { SessionService } from "../../gen/session/v1/session_service_pb.ts";
import type { ServiceAccess } from "../auth/access.ts";
import { durationBounds } from "../domain/policy.ts";
import type { RevocationFeeds } from "../domain/revocations/revocation-feeds.ts";
import { maxTokenLength } from "../domain/sessions/token.ts";
import { authenticate } from "../domain/use-cases/authenticate.ts";
import { createSession } from "../domain/use-cases/create-session.ts";
import type { Deps } from "../domain/use-cases/deps.ts";
import { extendSession } from "../domain/use-cases/extend-session.ts";
import { getSession } from "../domain/use-cases/get-session.ts";
import { listRevocations } from "../domain/use-cases/list-revocations.ts";
import { listSessions } from "../domain/use-cases/list-sessions.ts";
import { rotateToken } from "../domain/use-cases/rotate-token.ts";
import { revokeAll } from "../domain/use-cases/revoke-all.ts";
import { revoke } from "../domain/use-cases/revoke.ts";
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
  revoke: { service: "sessions.revoke", member: true },
  revokeAll: { service: "sessions.revoke_all", member: true },
  listRevocations: { service: "sessions.read" },
  watchRevocations: { service: "sessions.read" },
};

/** SessionService on the use cases and the feeds. */
export function sessionService(deps: Deps, feeds: RevocationFeeds): ServiceImpl<typeof SessionService> {
  return {
    async create(request, context) {
      const created = await createSession(deps, serviceCallerOf(context), readCreate(request));
      return { ...created, session: toSessionMessage(created.session, deps.now()) };
    },
    async authenticate(request, context) {
      const { project } = serviceCallerOf(context);
      const credential = readAuthenticate(request);
      const { session, jwt } = await authenticate(deps, project, credential, request.issueJwt);
      return { session: toSessionMessage(session, deps.now()), jwt };
    },
    async get(request, context) {
      const caller = callerOf(context);
      const id = readFields((fields) => fields.sessionId("id", request.id));
      return { session: toSessionMessage(await getSession(deps, caller, id), deps.now(), caller) };
    },
    async list(request, context) {
      const caller = callerOf(context);
      const { sessions, nextPageToken } = await listSessions(deps, caller, readList(request), context.signal);
      const now = deps.now();
      return { sessions: sessions.map((session) => toSessionMessage(session, now, caller)), nextPageToken };
    },
    async extend(request, context) {
      const { id, lifetime } = readFields((fields) => ({
        id: fields.sessionId("id", request.id),
        lifetime: fields.duration("lifetime", request.lifetime, durationBounds),
      }));
      const session = await extendSession(deps, serviceCallerOf(context), id, lifetime);
      return { session: toSessionMessage(session, deps.now()) };
    },
    async rotateToken(request, context) {
      const token = readFields((fields) => fields.text("token", request.token, maxTokenLength, 1));
      const rotated = await rotateToken(deps, serviceCallerOf(context), token, request.issueJwt);
      return { ...rotated, session: toSessionMessage(rotated.session, deps.now()) };
    },
    async revoke(request, context) {
      const { target, why } = readRevoke(request);
      return toRevocationMessage(await revoke(deps, callerOf(context), target, why));
    },
    async revokeAll(request, context) {
      const command = readRevokeAll(request);
      const signal = command.validateOnly ? context.signal : undefined;
      return toRevocationMessage(await revokeAll(deps, callerOf(context), command, signal));
    },
    async listRevocations(request, context) {
      const command = readListRevocations(request);
      const { revocations, nextPageToken } = await listRevocations(deps, serviceCallerOf(context), command);
      return { revocations: revocations.map(toRecordedMessage), nextPageToken };
    },
    watchRevocations(request, context) {
      const watch = { ...readWatch(request), signal: context.signal };
      return watchRevocations(deps, feeds, serviceCallerOf(context), watch);
    },
  };
}
