import type { ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";

/** The `Retry-After` of an error that carries google.rpc.RetryInfo, in whole seconds, rounded up. */
export function retryAfterOf(error: ConnectError): string | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  if (delay === undefined) return undefined;
  const seconds = Number(delay.seconds) + (delay.nanos > 0 ? 1 : 0);
  return String(Math.max(0, seconds));
}
