import { create } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import { type Session, SessionStateSchema } from "../../../gen/session/v1/session_pb.ts";
import { ListResponseSchema } from "../../../gen/session/v1/session_service_pb.ts";
import { type ConnectionOptions, calling, withConnection } from "../connection.ts";
import { usageFailure } from "../failure.ts";
import { messageJson } from "../output/message-json.ts";
import { type PageOptions, more, readPages, withPages } from "../options/pages.ts";
import { type Run, runs } from "../run.ts";
import { table } from "../output/table.ts";
import { timeOf, valueOf, wordOf, wordsOf } from "../output/enum-format.ts";

/** Adds `sessions list`. */
export function addSessionsList(sessions: Command): void {
  const list = sessions
    .command("list")
    .description("list sessions of a member or an organization, newest first (needs sessions.read)")
    .option("--member <id>", "of this member")
    .option("--organization <id>", "of this organization")
    .addOption(new Option("--state <state>", "only in this state").choices(wordsOf(SessionStateSchema)));
  runs(withConnection(withPages(list)), listSessions);
}

interface ListOptions extends ConnectionOptions, PageOptions {
  readonly member?: string;
  readonly organization?: string;
  readonly state?: string;
}

async function listSessions(run: Run<ListOptions>): Promise<void> {
  const { options, output } = run;
  const { member: memberId = "", organization: organizationId = "" } = options;
  if (memberId === "" && organizationId === "") {
    throw usageFailure("--member, --organization or both say whose sessions");
  }
  const state = valueOf(SessionStateSchema, options.state ?? "");
  const { items, nextPageToken } = await calling(run, ({ sessions }) =>
    readPages(options, async (page) => {
      const answer = await sessions.list({ memberId, organizationId, state, ...page });
      return { items: answer.sessions, nextPageToken: answer.nextPageToken };
    }),
  );
  const message = create(ListResponseSchema, { sessions: items, nextPageToken });
  const head = ["id", "member", "organization", "state", "created", "last used", "expires", "device"];
  await output.result(
    messageJson(ListResponseSchema, message),
    table(head, items.map(toRow)) + more(nextPageToken),
  );
}

function toRow(session: Session): string[] {
  const { ipAddress = "", userAgent = "" } = session.device ?? {};
  return [
    session.id,
    session.memberId,
    session.organizationId,
    wordOf(SessionStateSchema, session.state),
    timeOf(session.createTime),
    timeOf(session.lastAccessTime),
    timeOf(session.expireTime),
    `${ipAddress} ${userAgent}`.trim(),
  ];
}
