import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Command } from "commander";
import {
  type RevokeAllRequestSchema,
  type RevokeAllResponse,
  RevokeAllResponseSchema,
  type RevokeRequest,
  type RevokeResponse,
  RevokeResponseSchema,
} from "../../../gen/session/v1/session_service_pb.ts";
import { usageFailure } from "../output/failure.ts";
import { formatTime } from "../output/format.ts";
import { pairs } from "../output/table.ts";
import { type ServiceRun, addServiceCommand } from "../run/command.ts";
import { type OptionValues, revocationDetails, revocationOptions } from "../run/options.ts";
import { confirmUnless, yesOption } from "../run/terminal.ts";

/** Adds `sessions revoke` and `sessions revoke-all`. */
export function addSessionsRevoke(sessions: Command): void {
  addServiceCommand(sessions, "revoke", {
    description: "revoke one session, or those of a member (needs sessions.revoke)",
    options: revokeOptions,
    action: async (run) => {
      const { count, ...options } = run.options;
      const request = {
        target: await readTarget(run),
        countRevoked: count === true,
        ...revocationDetails(options),
      };
      const response = await run.sessions.revoke(request);
      await run.output.message(RevokeResponseSchema, response, toText(response));
    },
  });
  addServiceCommand(sessions, "revoke-all", {
    description:
      "revoke all sessions of a member, an organization or the project, with one write (needs sessions.revoke_all)",
    options: revokeAllOptions,
    action: revokeAllSessions,
  });
}

const revokeOptions = {
  "[id]": "the session",
  "--token-file <file>": "the session whose token is in this file, - for standard input",
  "--jwt-file <file>": "the session whose JWT is in this file, - for standard input",
  "--member <id>": "all sessions of this member",
  "--count": "with --member: also count the active sessions; slow if there are many",
  ...revocationOptions,
};

async function readTarget({
  options: { id, tokenFile, jwtFile, member },
  secrets,
}: ServiceRun<OptionValues<typeof revokeOptions>>): Promise<RevokeRequest["target"]> {
  if ([id, tokenFile, jwtFile, member].filter((target) => target !== undefined).length !== 1) {
    throw usageFailure("exactly one of a session's id, --token-file, --jwt-file and --member is required");
  }
  if (tokenFile !== undefined) {
    return { case: "token", value: await secrets.read(tokenFile, "session token") };
  }
  if (jwtFile !== undefined) return { case: "jwt", value: await secrets.read(jwtFile, "session JWT") };
  return member === undefined ? { case: "id", value: id ?? "" } : { case: "memberId", value: member };
}

const revokeAllOptions = {
  "--member <id>": "of this member",
  "--organization <id>": "of this organization",
  "--project": "of the calling project: logs everyone out",
  "--except <id>": "keep this session",
  "--dry-run": "only count the sessions that would end",
  "--count": "also count the active sessions; slow if there are many",
  ...yesOption,
  ...revocationOptions,
};

type RevokeAllRun = ServiceRun<OptionValues<typeof revokeAllOptions>>;

async function revokeAllSessions(run: RevokeAllRun): Promise<void> {
  const { options, output, sessions } = run;
  const { scope, name } = readScope(run);
  const request = { scope, exceptSessionId: options.except ?? "", ...revocationDetails(options) };
  const dryRun = options.dryRun === true;
  if (!dryRun) {
    await confirmUnless(options.yes, async () => {
      const { revokedCount } = await sessions.revokeAll({ ...request, validateOnly: true });
      return `End ${countSessions(revokedCount)} of ${name}?`;
    });
  }
  const count = options.count === true;
  const response = await sessions.revokeAll({ ...request, countRevoked: count, validateOnly: dryRun });
  const text = dryRun ? pairs({ "would end": countSessions(response.revokedCount) }) : toText(response);
  await output.message(RevokeAllResponseSchema, response, text);
}

function readScope({ options: { member, organization, project }, target }: RevokeAllRun): {
  scope: NonNullable<MessageInitShape<typeof RevokeAllRequestSchema>["scope"]>;
  name: string;
} {
  if ([member, organization, project].filter((scope) => scope !== undefined).length !== 1) {
    throw usageFailure("exactly one of --member, --organization and --project is required");
  }
  if (member !== undefined) return { scope: { case: "memberId", value: member }, name: `member ${member}` };
  if (organization !== undefined) {
    return { scope: { case: "organizationId", value: organization }, name: `organization ${organization}` };
  }
  const name = `project ${target.credential.projectId}, which logs everyone out`;
  return { scope: { case: "project", value: {} }, name };
}

function countSessions(count = 0n): string {
  return count === 1n ? "1 session" : `${count} sessions`;
}

function toText({ revision, revokeTime, revokedCount }: RevokeResponse | RevokeAllResponse): string {
  return pairs({
    revision: String(revision),
    revoked: formatTime(revokeTime),
    "sessions ended": revokedCount?.toString(),
  });
}
