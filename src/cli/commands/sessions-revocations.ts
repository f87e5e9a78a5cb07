import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Command, Option } from "commander";
import { RevocationCauseSchema } from "../../../gen/session/v1/session_pb.ts";
import {
  ListRevocationsResponseSchema,
  type Revocation,
  RevocationScopeSchema,
} from "../../../gen/session/v1/session_service_pb.ts";
import { type ConnectionOptions, calling, withConnection } from "../connection.ts";
import { usageFailure } from "../failure.ts";
import { messageJson } from "../output/message-json.ts";
import { type PageOptions, more, readPages, withPages } from "../options/pages.ts";
import { type Run, runs } from "../run.ts";
import { table } from "../output/table.ts";
import { timeOf, valueOf, wordOf, wordsOf } from "../output/enum-format.ts";

/** Adds `sessions revocations`. */
export function addSessionsRevocations(sessions: Command): void {
  const list = sessions
    .command("revocations")
    .description("list who ended what, when and why, newest first (needs sessions.read)")
    .option("--since <time>", "at this time or later: RFC 3339, or a date in UTC")
    .option("--until <time>", "before this time")
    .option("--actor <actor>", "by this caller: service/<credential id> or member/<member id>, or policy")
    .addOption(new Option("--scope <scope>", "only of this scope").choices(wordsOf(RevocationScopeSchema)))
    .option("--target <id>", "only of this session, member, ...; with --scope");
  runs(withConnection(withPages(list)), listRevocations);
}

interface RevocationsOptions extends ConnectionOptions, PageOptions {
  readonly since?: string;
  readonly until?: string;
  readonly actor?: string;
  readonly scope?: string;
  readonly target?: string;
}

async function listRevocations(run: Run<RevocationsOptions>): Promise<void> {
  const { options, output } = run;
  const { actor = "", target: targetId = "" } = options;
  if (targetId !== "" && options.scope === undefined) {
    throw usageFailure("--scope says what --target is the id of");
  }
  const filter = {
    ...(options.since !== undefined && { startTime: readTime("--since", options.since) }),
    ...(options.until !== undefined && { endTime: readTime("--until", options.until) }),
    actor,
    scope: valueOf(RevocationScopeSchema, options.scope ?? ""),
    targetId,
  };
  const { items, nextPageToken } = await calling(run, ({ sessions }) =>
    readPages(options, async (page) => {
      const answer = await sessions.listRevocations({ ...filter, ...page });
      return { items: answer.revocations, nextPageToken: answer.nextPageToken };
    }),
  );
  const message = create(ListRevocationsResponseSchema, { revocations: items, nextPageToken });
  const head = ["revision", "revoked", "scope", "target", "actor", "cause", "reason"];
  await output.result(
    messageJson(ListRevocationsResponseSchema, message),
    table(head, items.map(toRow)) + more(nextPageToken),
  );
}

const timeForm = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/;

function readTime(option: string, text: string): Timestamp {
  const time = new Date(text);
  // Date takes the 30th of February for the 2nd of March.
  const isDay = text.startsWith(new Date(`${text.slice(0, 10)}T00:00Z`).toJSON()?.slice(0, 10) ?? " ");
  if (timeForm.test(text) && isDay && !Number.isNaN(time.getTime())) return timestampFromDate(time);
  throw usageFailure(`${option} must be a time such as 2026-03-01T12:00:00Z, or a date such as 2026-03-01`);
}

function toRow(revocation: Revocation): string[] {
  const { revision, revokeTime, scope, targetId, exceptSessionId, actor, cause, reason } = revocation;
  return [
    String(revision),
    timeOf(revokeTime),
    wordOf(RevocationScopeSchema, scope),
    exceptSessionId === "" ? targetId : `${targetId} except ${exceptSessionId}`,
    actor,
    wordOf(RevocationCauseSchema, cause),
    reason,
  ];
}
