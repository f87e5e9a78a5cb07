import { Code, ConnectError } from "@connectrpc/connect";
import type { Command } from "commander";
import {
  type Revocation,
  RevocationCauseSchema,
  RevocationSchema,
  RevocationScopeSchema,
} from "../../../gen/session/v1/revocation_pb.ts";
import { errorInfoOf } from "../../client/error-info.ts";
import type { StreamStart } from "../../client/subscribe.ts";
import { watchRevocations } from "../../client/watch-revocations.ts";
import { CommandFailure, describeError, usageFailure } from "../output/failure.ts";
import { enumWord, formatTime } from "../output/format.ts";
import { type Output, messageJson } from "../output/output.ts";
import { printable } from "../output/table.ts";
import { type ServiceRun, addServiceCommand } from "../run/command.ts";
import type { OptionValues } from "../run/options.ts";
import { interruptSignal } from "../run/terminal.ts";

/** Adds `sessions watch`. */
export function addSessionsWatch(sessions: Command): void {
  addServiceCommand(sessions, "watch", {
    description:
      "print revocations as they happen, one per line, until interrupted (needs revocations.watch)",
    options: watchOptions,
    help: "\nA broken connection resumes after the last position: no revocation is missed or printed twice.",
    action: watchSessions,
  });
}

const watchOptions = {
  "--after <position>": "start after this position, which an earlier watch has printed",
  "--oldest": "start with the oldest revocation that is kept",
  "--snapshot": "start with those that a valid session JWT may still need",
  "--no-follow": "end when there are no more for now",
};

type WatchOptions = OptionValues<typeof watchOptions>;

async function watchSessions({ options, output, target }: ServiceRun<WatchOptions>): Promise<void> {
  const { baseUrl, credential, actingUser } = target;
  const messages = watchRevocations({
    baseUrl,
    credential,
    actingUser,
    start: readStart(options),
    signal: interruptSignal(),
    onDisconnect: (error, position) =>
      output.note(`disconnected: ${describeError(error).message}; resuming after ${position}`),
  });
  let last: string | undefined;
  try {
    for await (const { revocations, position, upToDate } of messages) {
      if (last === undefined) output.note(`watching project ${credential.projectId} at ${baseUrl}`);
      for (const [i, revocation] of revocations.entries()) {
        // The last one of a message stands where the message stands.
        const at = i === revocations.length - 1 ? { position } : {};
        const json = Object.assign(messageJson(RevocationSchema, revocation) ?? {}, at);
        await output.line(json, toLine(revocation));
      }
      last = position;
      if (upToDate && !options.follow) break;
    }
  } catch (error) {
    // Not if the reader of the output went away, which is a usual end of a pipe.
    if (error instanceof ConnectError) noteEnd(output, last);
    throw outOfRange(error) ?? error;
  }
  noteEnd(output, last);
}

function noteEnd(output: Output, position: string | undefined): void {
  if (position !== undefined) output.note(`stopped; continue with --after ${position}`);
}

function readStart({ after, oldest, snapshot }: WatchOptions): StreamStart {
  if ([after, oldest, snapshot].filter((start) => start !== undefined).length > 1) {
    throw usageFailure("only one of --after, --oldest and --snapshot is accepted");
  }
  if (oldest === true) return { case: "oldest", value: {} };
  if (snapshot === true) return { case: "snapshot", value: {} };
  if (after === undefined) return { case: undefined };
  return { case: "after", value: after };
}

/**
 * A failure that says how to continue if the log does not have the position. A watch of a log that was restored does not start
 * again by itself: whatever processes its output would take the new log for a continuation.
 */
function outOfRange(error: unknown): CommandFailure | undefined {
  if (!(error instanceof ConnectError) || error.code !== Code.OutOfRange) return undefined;
  const info = errorInfoOf(error);
  const problem =
    info?.reason === "HISTORY_CHANGED"
      ? "the log does not have that position: the database was restored to an earlier state, a failover lost commits, or the " +
        "position is of another project. Revocations that were printed may not be in the log any more"
      : `the log does not reach that position; the oldest to start after is ${info?.metadata["oldest_position"]}`;
  return new CommandFailure(
    `${problem}: --oldest starts with the oldest kept, --snapshot with those that a valid session JWT may still need`,
    { cause: error },
  );
}

function toLine({ revision, scope, targetId, exceptSessionId, revokeTime, cause }: Revocation): string {
  const fields = [
    formatTime(revokeTime),
    String(revision),
    enumWord(RevocationScopeSchema, scope),
    targetId,
    enumWord(RevocationCauseSchema, cause) || "-",
    exceptSessionId && `except ${exceptSessionId}`,
  ];
  return printable(fields.join("  ").trimEnd());
}
