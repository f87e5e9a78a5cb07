import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { Metadata } from "@grpc/grpc-js";
import { type ErrorInfo, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/google/rpc/status_pb.ts";

/**
 * The google.rpc.ErrorInfo of a failed call, from a ConnectError or a ServiceError of `@grpc/grpc-js`: `reason` is the name of
 * a `session.v1.ErrorReason` without its prefix, and `metadata` holds what its comment lists. Undefined for errors that did
 * not come from this service, such as a lost connection.
 */
export function errorInfoOf(error: unknown): ErrorInfo | undefined {
  if (error instanceof ConnectError) return error.findDetails(ErrorInfoSchema)[0];
  const metadata = error instanceof Error && "metadata" in error ? error.metadata : undefined;
  const [status] = metadata instanceof Metadata ? metadata.get("grpc-status-details-bin") : [];
  if (!(status instanceof Uint8Array)) return undefined;
  for (const detail of fromBinary(StatusSchema, status).details) {
    const info = anyUnpack(detail, ErrorInfoSchema);
    if (info !== undefined) return info;
  }
  return undefined;
}
