import type { CallContext } from "../../transport/call-context.ts";
import { fittingRows } from "../page-size.ts";
import { pageTokenAfter, parsePage } from "../page.ts";
import type { RecordedRevocation } from "../revocations/revocation-log.ts";
import type { RevocationQuery } from "../store/revocation-store.ts";
import type { ServiceCaller } from "./caller.ts";
import type { Dependencies } from "./dependencies.ts";

export interface ListRevocations extends Omit<RevocationQuery, "projectId" | "page"> {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** Lists a page of the revocations of the caller's project, newest first. */
export async function listRevocations(
  deps: Dependencies,
  caller: ServiceCaller,
  { pageSize, pageToken, ...filter }: ListRevocations,
  call: CallContext,
): Promise<{ revocations: readonly RecordedRevocation[]; nextPageToken: string }> {
  const projectId = caller.project.id;
  const {
    startTime,
    endTime,
    actor = "",
    actingUser = "",
    scope = "",
    targetId = "",
    memberId = "",
  } = filter;
  const times = [startTime, endTime].map((time) => time?.toISOString() ?? "");
  const filters = ["revocations", projectId, ...times, actor, actingUser, scope, targetId, memberId];
  const page = parsePage(pageSize, pageToken, filters, parseRevision);
  const { revocations, next } = await deps.store.revocations.listRevocations(
    { ...filter, projectId, page },
    call,
  );
  const shown = revocations.slice(0, fittingRows(revocations));
  const after = shown.length < revocations.length ? shown.at(-1)?.revision : next;
  return {
    revocations: shown,
    nextPageToken: after === undefined ? "" : pageTokenAfter(String(after), filters),
  };
}

function parseRevision(text: string): string | undefined {
  return /^[1-9]\d{0,14}$/.test(text) ? text : undefined;
}
