import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type {
  WatchRevocationsRequest,
  WatchRevocationsResponseSchema,
} from "../../gen/session/v1/session_service_pb.ts";
import { requireStillEnabled } from "../auth/identify.ts";
import type { ServiceCaller } from "../domain/use-cases/caller.ts";
import type { FeedMessage } from "../domain/revocations/feed-message.ts";
import { parsePosition, positionText } from "../domain/revocations/position.ts";
import type { RevocationFeeds, WatchOptions, WatchStart } from "../domain/revocations/revocation-feeds.ts";
import type { Dependencies } from "../domain/use-cases/dependencies.ts";
import { unlimited } from "../transport/call-context.ts";
import { type FieldChecker, readFields } from "./messages/fields.ts";
import { toLoggedMessage } from "./messages/revocation-messages.ts";

/** Bounds and default of the heartbeat, in milliseconds. */
const heartbeats = { min: 100, max: 60_000, default: 1000 };

export function readWatch(request: WatchRevocationsRequest): Pick<WatchOptions, "start" | "heartbeat"> {
  return readFields((fields) => ({
    start: readStart(fields, request.start),
    heartbeat: fields.duration("heartbeat", request.heartbeat, heartbeats) ?? heartbeats.default,
  }));
}

const positionForm = "must be the position of an earlier message, unchanged";

function readStart(fields: FieldChecker, start: WatchRevocationsRequest["start"]): WatchStart {
  switch (start.case) {
    case undefined:
      return "now";
    case "after":
      return { after: fields.parsed("after", start.value, parsePosition, positionForm) };
    case "oldest":
    case "snapshot":
      return start.case;
  }
}

/** Interval at which a stream checks its caller's credential again, in milliseconds. */
const checkIntervalMs = 10_000;

/**
 * Streams a project's feed until the caller's credential is disabled. Revocations are sent before that is checked: the last one of
 * a disabled project revokes its sessions.
 */
export async function* watchRevocations(
  deps: Dependencies,
  feeds: RevocationFeeds,
  caller: ServiceCaller,
  watch: Omit<WatchOptions, "projectId">,
): AsyncGenerator<MessageInitShape<typeof WatchRevocationsResponseSchema>> {
  let checkedAt = deps.now().getTime();
  for await (const message of feeds.watch({ ...watch, projectId: caller.project.id })) {
    const isNews = message.revocations.length > 0;
    if (isNews) yield toWatchMessage(message);
    const now = deps.now().getTime();
    // The clock may have been set back.
    if (Math.abs(now - checkedAt) >= checkIntervalMs) {
      await requireStillEnabled(deps, caller, unlimited);
      checkedAt = now;
    }
    if (!isNews) yield toWatchMessage(message);
  }
}

function toWatchMessage(message: FeedMessage): MessageInitShape<typeof WatchRevocationsResponseSchema> {
  return {
    revocations: message.revocations.map(toLoggedMessage),
    revision: BigInt(message.position.revision),
    upToDate: message.upToDate,
    readOffset: durationFromMs(Math.floor(message.readOffset)),
    position: positionText(message.position),
    recoveryIds: [...message.recoveryIds],
  };
}
