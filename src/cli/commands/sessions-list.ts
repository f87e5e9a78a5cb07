import type { Command } from "commander";
import { SessionStateSchema } from "../../../gen/session/v1/session_pb.ts";
import { ListResponseSchema } from "../../../gen/session/v1/session_service_pb.ts";
import { usageFailure } from "../output/failure.ts";
import { enumValue, enumWord, enumWords, formatTime } from "../output/format.ts";
import { addServiceCommand } from "../run/command.ts";
import { listOptions, printList } from "../run/list.ts";

/** Adds `sessions list`. */
export function addSessionsList(sessions: Command): void {
  addServiceCommand(sessions, "list", {
    description: "list sessions of a member or an organization, newest first (needs sessions.read)",
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
          device: ({ device }) => `${device?.ipAddress ?? ""} ${device?.userAgent ?? ""}`.trim(),
        },
      });
    },
  });
}
