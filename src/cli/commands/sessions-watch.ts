import { Code, ConnectError } from "@connectrpc/connect";
import type { Command } from "commander";
import { RevocationCauseSchema } from "../../../gen/session/v1/session_pb.ts";
import {
  type Revocation,
  RevocationSchema,
  RevocationScopeSchema,
  type WatchRevocationsRequest,
} from "../../../gen/session/v1/session_service_pb.ts";
import { errorInfoOf } from "../../client/error-info.ts";
import { watchRevocations } from "../../client/watch-revocations.ts";
import { type ConnectionOptions, findTarget, withAddress, withConnection } from "../connection.ts";
import { CommandFailure, usageFailure } from "../failure.ts";
import { inWords } from "../output/in-words.ts";
import { interruption } from "../interruption.ts";
import { messageJson } from "../output/message-json.ts";
import { printable } from "../output/printable.ts";
import { type Run, runs } from "../run.ts";
import { timeOf, wordOf } from "../output/enum-format.ts";

/** Adds `sessions watch`. */
export function addSessionsWatch(sessions: Command): void {
  const watch = sessions
    .command("watch")
    .description("print revocations as they come, a line each, until interrupted (needs sessions.read)")
    .option("--after <revision>", "start after this revision")
    .option("--oldest", "start with the oldest one that is kept")
    .option("--snapshot", "start with those that can still matter to a session JWT")
    .option("--no-follow", "end when there is nothing more for now")
    .addHelpText(
      "after",
      "\nA connection that breaks is resumed after the last revision: no revocation is missed or printed twice.",
    );
  runs(withConnection(watch), watchSessions);
}

interface WatchOptions extends ConnectionOptions {
  readonly after?: string;
  readonly oldest?: true;
  readonly snapshot?: true;
  readonly follow: boolean;
}

async function watchSessions({ options, environment, output, secrets }: Run<WatchOptions>): Promise<void> {
  const start = readStart(options);
  const target = await findTarget(options, environment, secrets);
  const { baseUrl, credential } = target;
  const messages = watchRevocations({
    baseUrl,
    credential,
    start,
    signal: interruption(),
    onDisconnect: (error, revision) =>
      output.note(`disconnected: ${reasonOf(error)}; resuming after revision ${revision}`),
  });
  let last: bigint | undefined;
  try {
    for await (const { revocations, revision, caughtUp } of messages) {
      if (last === undefined) output.note(`watching project ${credential.projectId} at ${baseUrl}`);
      for (const revocation of revocations) {
        await output.line(messageJson(RevocationSchema, revocation), toLine(revocation));
      }
      last = revision;
      if (caughtUp && !options.follow) break;
    }
  } catch (error) {
    throw outOfRange(error) ?? withAddress(error, target);
  }
  if (last !== undefined) output.note(`stopped; --after ${last} goes on`);
}

function readStart({ after, oldest, snapshot }: WatchOptions): WatchRevocationsRequest["start"] {
  if ([after, oldest, snapshot].filter((start) => start !== undefined).length > 1) {
    throw usageFailure("only one of --after, --oldest and --snapshot says where to start");
  }
  if (oldest === true) return { case: "oldest", value: true };
  if (snapshot === true) return { case: "snapshot", value: true };
  if (after === undefined) return { case: undefined };
  if (/^\d{1,16}$/.test(after)) return { case: "afterRevision", value: BigInt(after) };
  throw usageFailure("--after must be a revision that was printed before, or 0");
}

function reasonOf(error: Error): string {
  return error instanceof ConnectError ? error.rawMessage : inWords(error);
}

/** Says how to go on where the log does not reach back so far. */
function outOfRange(error: unknown): CommandFailure | undefined {
  if (!(error instanceof ConnectError) || error.code !== Code.OutOfRange) return undefined;
  const oldest = errorInfoOf(error)?.metadata["oldest_revision"];
  const howTo = "--snapshot starts with what can still matter, --oldest with what is kept";
  return new CommandFailure(
    `the log does not reach that revision; the oldest to start after is ${oldest}: ${howTo}`,
    undefined,
    error,
  );
}

function toLine({ revision, scope, targetId, exceptSessionId, revokeTime, cause }: Revocation): string {
  const words = [
    timeOf(revokeTime),
    String(revision),
    wordOf(RevocationScopeSchema, scope),
    targetId,
    wordOf(RevocationCauseSchema, cause) || "-",
    ...(exceptSessionId === "" ? [] : [`except ${exceptSessionId}`]),
  ];
  return printable(words.join("  "));
}
