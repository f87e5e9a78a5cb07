import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type {
  WatchRevocationsRequest,
  WatchRevocationsResponseSchema,
} from "../../gen/session/v1/session_service_pb.ts";
import { requireStillEnabled } from "../auth/identify.ts";
import type { ServiceCaller } from "../domain/use-cases/caller.ts";
import type { FeedMessage } from "../domain/revocations/project-feed.ts";
import type { RevocationFeeds, WatchOptions, WatchStart } from "../domain/revocations/revocation-feeds.ts";
import type { Dependencies } from "../domain/use-cases/dependencies.ts";
import { unlimited } from "../transport/call-context.ts";
import { readFields } from "./messages/fields.ts";
import { toLoggedMessage } from "./messages/revocation-messages.ts";

/** Bounds of a heartbeat, and what it is when none is asked for, in milliseconds. */
const heartbeats = { min: 100, max: 60_000, default: 1000 };

/** Reads WatchRevocationsRequest. */
export function readWatch(request: WatchRevocationsRequest): Pick<WatchOptions, "start" | "heartbeat"> {
  return readFields((fields) => ({
    start: readStart(request.start, (field, description) => fields.violation(field, description)),
    heartbeat: fields.duration("heartbeat", request.heartbeat, heartbeats) ?? heartbeats.default,
  }));
}

function readStart(
  start: WatchRevocationsRequest["start"],
  violation: (field: string, description: string) => WatchStart,
): WatchStart {
  switch (start.case) {
    case undefined:
      return "now";
    case "afterRevision":
      return start.value >= 0n && start.value <= Number.MAX_SAFE_INTEGER
        ? { after: Number(start.value) }
        : violation("after_revision", "must be a revision that was received before, or 0");
    case "oldest":
    case "snapshot":
      return start.value ? start.case : violation(start.case, "must be true where it is given");
  }
}

/** How long a stream goes on before its caller's credential is checked again, in milliseconds. */
const checkInterval = 10_000;

/** The stream of a caller: what the feed has, for as long as the caller's credential is good. */
export async function* watchRevocations(
  deps: Dependencies,
  feeds: RevocationFeeds,
  caller: ServiceCaller,
  watch: Omit<WatchOptions, "projectId">,
): AsyncGenerator<MessageInitShape<typeof WatchRevocationsResponseSchema>> {
  let checkedAt = deps.now().getTime();
  for await (const message of feeds.watch({ ...watch, projectId: caller.project.id })) {
    const now = deps.now().getTime();
    if (now - checkedAt >= checkInterval) {
      await requireStillEnabled(deps, caller, unlimited);
      checkedAt = now;
    }
    yield toWatchMessage(message);
  }
}

/** A message of the stream. */
function toWatchMessage(message: FeedMessage): MessageInitShape<typeof WatchRevocationsResponseSchema> {
  return {
    revocations: message.revocations.map(toLoggedMessage),
    revision: BigInt(message.revision),
    caughtUp: message.caughtUp,
    elapsed: durationFromMs(Math.floor(message.elapsed)),
  };
}
