import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import { SessionStateSchema } from "../../../gen/session/v1/session_pb.ts";
import { RevocationCauseSchema, RevocationScopeSchema } from "../../../gen/session/v1/revocation_pb.ts";
import {
  ListResponseSchema,
  ListRevocationsResponseSchema,
} from "../../../gen/session/v1/session_service_pb.ts";
import { usageFailure } from "../output/failure.ts";
import { enumValue, enumWord, enumWords, formatTime } from "../output/format.ts";
import { addServiceCommand } from "../run/command.ts";
import { listOptions, printList } from "../run/list.ts";

/** Adds `sessions list`. */
export function addSessionsList(sessions: Command): void {
  addServiceCommand(sessions, "list", {
    description:
      "list sessions of a member or an organization with who revoked them and why, newest first (needs sessions.read)",
    options: {
      "--member <id>": "of this member",
      "--organization <id>": "of this organization",
      "--state <state>": { help: "only in this state", choices: enumWords(SessionStateSchema) },
      ...listOptions,
    },
    action: async (run) => {
      const { member: memberId = "", organization: organizationId = "", state = "" } = run.options;
      if (memberId === "" && organizationId === "") {
        throw usageFailure("--member, --organization or both are required");
      }
      const filter = { memberId, organizationId, state: enumValue(SessionStateSchema, state) };
      await printList(run, {
        response: ListResponseSchema,
        read: (page) => run.sessions.list({ ...filter, ...page }),
        itemsOf: ({ sessions }) => sessions,
        columns: {
          id: ({ id }) => id,
          member: ({ memberId }) => memberId,
          organization: ({ organizationId }) => organizationId,
          state: ({ state }) => enumWord(SessionStateSchema, state),
          created: ({ createTime }) => formatTime(createTime),
          "last used": ({ lastAccessTime }) => formatTime(lastAccessTime),
          expires: ({ expireTime }) => formatTime(expireTime),
          revoked: ({ revokeTime }) => formatTime(revokeTime),
          actor: ({ revokeActor }) => revokeActor,
          "acting user": ({ revokeActingUser }) => revokeActingUser,
          cause: ({ revokeCause }) => enumWord(RevocationCauseSchema, revokeCause),
          reason: ({ revokeReason }) => revokeReason,
          device: ({ device }) => `${device?.ipAddress ?? ""} ${device?.userAgent ?? ""}`.trim(),
        },
      });
    },
  });
}

/** Adds `sessions revocations`. */
export function addSessionsRevocations(sessions: Command): void {
  addServiceCommand(sessions, "revocations", {
    description: "list revocations with actor, cause and reason, newest first (needs sessions.read)",
    options: {
      "--since <time>": "at this time or later: RFC 3339, or a date in UTC",
      "--until <time>": "before this time",
      "--member <id>":
        "that ended sessions of this member: of one session, the member, its organizations or the project",
      "--actor <actor>": "by this caller: service/<credential id> or member/<member id>, policy, or operator",
      "--for-user <name>": "by a service that acted for this person: the value of its --acting-user",
      "--scope <scope>": { help: "only of this scope", choices: enumWords(RevocationScopeSchema) },
      "--target <id>": "only of this session, member, ...; with --scope",
      ...listOptions,
    },
    action: async (run) => {
      const { since, until, actor = "", scope = "", target: targetId = "" } = run.options;
      const { member: memberId = "", forUser: actingUser = "" } = run.options;
      if (targetId !== "" && scope === "") throw usageFailure("--target needs --scope");
      const filter = {
        ...(since !== undefined && { startTime: parseTime("--since", since) }),
        ...(until !== undefined && { endTime: parseTime("--until", until) }),
        memberId,
        actor,
        actingUser,
        scope: enumValue(RevocationScopeSchema, scope),
        targetId,
      };
      await printList(run, {
        response: ListRevocationsResponseSchema,
        read: (page) => run.sessions.listRevocations({ ...filter, ...page }),
        itemsOf: ({ revocations }) => revocations,
        columns: {
          revision: ({ revision }) => String(revision),
          revoked: ({ revokeTime }) => formatTime(revokeTime),
          scope: ({ scope }) => enumWord(RevocationScopeSchema, scope),
          target: ({ targetId, exceptSessionId }) =>
            exceptSessionId === "" ? targetId : `${targetId} except ${exceptSessionId}`,
          member: ({ memberId }) => memberId,
          actor: ({ actor }) => actor,
          "acting user": ({ actingUser }) => actingUser,
          cause: ({ cause }) => enumWord(RevocationCauseSchema, cause),
          reason: ({ reason }) => reason,
        },
      });
    },
  });
}

const timeForm = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/;

function parseTime(option: string, text: string): Timestamp {
  const time = new Date(text);
  // Date takes the 30th of February for the 2nd of March.
  const isDay = text.startsWith(new Date(`${text.slice(0, 10)}T00:00Z`).toJSON()?.slice(0, 10) ?? " ");
  if (timeForm.test(text) && isDay && !Number.isNaN(time.getTime())) return timestampFromDate(time);
  throw usageFailure(`${option} must be a time such as 2026-03-01T12:00:00Z, or a date such as 2026-03-01`);
}
