import type { Command } from "commander";
import { type RevokeRequest, RevokeResponseSchema } from "../../../gen/session/v1/session_service_pb.ts";
import { type ConnectionOptions, calling, withConnection } from "../connection.ts";
import { usageFailure } from "../failure.ts";
import { messageJson } from "../output/message-json.ts";
import { type RevocationOptions, whyOf, withRevocation } from "../options/revocation-options.ts";
import { endedLines } from "../output/revocation-lines.ts";
import { type Run, runs } from "../run.ts";
import { pairs } from "../output/table.ts";

/** Adds `sessions revoke`. */
export function addSessionsRevoke(sessions: Command): void {
  const revoke = sessions
    .command("revoke")
    .description("end one session, or those of a member (needs sessions.revoke)")
    .argument("[id]", "the session")
    .option("--token-file <file>", "the session whose token is in this file, - for standard input")
    .option("--jwt-file <file>", "the session whose JWT is in this file, - for standard input")
    .option("--member <id>", "all sessions of this member")
    .option("--count", "with --member: say how many were alive, which takes time in proportion");
  runs(withConnection(withRevocation(revoke)), revokeSession);
}

interface RevokeOptions extends ConnectionOptions, RevocationOptions {
  readonly tokenFile?: string;
  readonly jwtFile?: string;
  readonly member?: string;
  readonly count?: true;
}

async function revokeSession(run: Run<RevokeOptions>): Promise<void> {
  const { options, output } = run;
  const target = await readTarget(run);
  const answer = await calling(run, ({ sessions }) =>
    sessions.revoke({ target, ...whyOf(options), count: options.count === true }),
  );
  await output.result(messageJson(RevokeResponseSchema, answer), pairs(endedLines(answer)));
}

async function readTarget({
  options,
  operands,
  secrets,
}: Run<RevokeOptions>): Promise<Exclude<RevokeRequest["target"], { case: undefined }>> {
  const { tokenFile, jwtFile, member } = options;
  const [id] = operands;
  if ([id, tokenFile, jwtFile, member].filter((target) => target !== undefined).length !== 1) {
    throw usageFailure(
      "exactly one of a session's id, --token-file, --jwt-file and --member says what to end",
    );
  }
  if (tokenFile !== undefined) {
    return { case: "token", value: await secrets.read(tokenFile, "session token") };
  }
  if (jwtFile !== undefined) return { case: "jwt", value: await secrets.read(jwtFile, "session JWT") };
  return member === undefined ? { case: "id", value: id ?? "" } : { case: "memberId", value: member };
}
