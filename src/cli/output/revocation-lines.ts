import type { RevokeAllResponse, RevokeResponse } from "../../../gen/session/v1/session_service_pb.ts";
import { timeOf } from "./enum-format.ts";

/** What a revocation did, for people. */
export function endedLines({
  revision,
  revokeTime,
  revokedCount,
}: RevokeResponse | RevokeAllResponse): (readonly [name: string, value: string])[] {
  const count = revokedCount === undefined ? [] : ([["sessions ended", String(revokedCount)]] as const);
  return [["revision", String(revision)], ["revoked", timeOf(revokeTime)], ...count];
}
