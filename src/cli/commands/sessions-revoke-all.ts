import type { Command } from "commander";
import {
  type RevokeAllRequest,
  RevokeAllResponseSchema,
} from "../../../gen/session/v1/session_service_pb.ts";
import { confirm, isInteractive } from "../options/confirm.ts";
import { type ConnectionOptions, calling, withConnection } from "../connection.ts";
import { usageFailure } from "../failure.ts";
import { messageJson } from "../output/message-json.ts";
import { endedLines } from "../output/revocation-lines.ts";
import { type RevocationOptions, whyOf, withRevocation } from "../options/revocation-options.ts";
import { type Run, runs } from "../run.ts";
import { pairs } from "../output/table.ts";

/** Adds `sessions revoke-all`. */
export function addSessionsRevokeAll(sessions: Command): void {
  const revokeAll = sessions
    .command("revoke-all")
    .description(
      "end all sessions of a member, an organization or the project, with one write (needs sessions.revoke_all)",
    )
    .option("--member <id>", "of this member")
    .option("--organization <id>", "of this organization")
    .option("--project", "of the calling project: everybody is logged out")
    .option("--except <id>", "spare this session")
    .option("--dry-run", "only say how many would end")
    .option("--count", "say how many were alive, which takes time in proportion")
    .option("--yes", "do not ask; only a terminal is asked at all");
  runs(withConnection(withRevocation(revokeAll)), revokeAllSessions);
}

interface RevokeAllOptions extends ConnectionOptions, RevocationOptions {
  readonly member?: string;
  readonly organization?: string;
  readonly project?: true;
  readonly except?: string;
  readonly dryRun?: true;
  readonly count?: true;
  readonly yes?: true;
}

type Scope = Exclude<RevokeAllRequest["scope"], { case: undefined }>;

async function revokeAllSessions(run: Run<RevokeAllOptions>): Promise<void> {
  const { options, output } = run;
  const scope = readScope(options);
  const command = { scope, exceptSessionId: options.except ?? "", ...whyOf(options) };
  await calling(run, async ({ sessions }, { credential }) => {
    const dryRun = options.dryRun === true;
    if (!dryRun && options.yes !== true && isInteractive()) {
      const { revokedCount = 0n } = await sessions.revokeAll({ ...command, validateOnly: true });
      await confirm(`End ${sessionsInWords(revokedCount)} of ${scopeInWords(scope, credential.projectId)}?`);
    }
    const count = options.count === true;
    const answer = await sessions.revokeAll({ ...command, count, validateOnly: dryRun });
    const lines = dryRun
      ? [["would end", sessionsInWords(answer.revokedCount ?? 0n)] as const]
      : endedLines(answer);
    await output.result(messageJson(RevokeAllResponseSchema, answer), pairs(lines));
  });
}

function readScope({ member, organization, project }: RevokeAllOptions): Scope {
  if ([member, organization, project].filter((scope) => scope !== undefined).length !== 1) {
    throw usageFailure("exactly one of --member, --organization and --project says whose sessions to end");
  }
  if (member !== undefined) return { case: "memberId", value: member };
  if (organization !== undefined) return { case: "organizationId", value: organization };
  return { case: "project", value: true };
}

function sessionsInWords(count: bigint): string {
  return count === 1n ? "1 session" : `${count} sessions`;
}

function scopeInWords(scope: Scope, projectId: string): string {
  if (scope.case === "memberId") return `member ${scope.value}`;
  return scope.case === "organizationId"
    ? `organization ${scope.value}`
    : `project ${projectId}, which is everybody`;
}
