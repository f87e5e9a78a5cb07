import { create, fromBinary } from "@bufbuild/protobuf";
import { Code } from "../../gen/google/rpc/code_pb.ts";
import { type ErrorInfo, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/google/rpc/status_pb.ts";

/**
 * Returns the google.rpc.ErrorInfo of a failed call, from a ConnectError or a ServiceError of `@grpc/grpc-js`. `reason` is the
 * name of a `session.v1.ErrorReason` without its prefix; `metadata` holds what the comment of that reason lists. Returns undefined
 * for errors that this service did not send, such as a lost connection. Checks the form of the error and not its class, because
 * an application may hold several copies of these packages.
 */
export function errorInfoOf(error: unknown): ErrorInfo | undefined {
  if (!isObject(error)) return undefined;
  const { details, metadata } = error;
  try {
    if (Array.isArray(details)) return details.map(infoIn).find((info) => info !== undefined);
    const [status] = isGrpcMetadata(metadata) ? metadata.get("grpc-status-details-bin") : [];
    if (!(status instanceof Uint8Array)) return undefined;
    const any = fromBinary(StatusSchema, status).details.find(({ typeUrl }) =>
      typeUrl.endsWith(`/${ErrorInfoSchema.typeName}`),
    );
    return any && fromBinary(ErrorInfoSchema, any.value);
  } catch {
    // The bytes are not those of the message.
    return undefined;
  }
}

/** Reads a detail of a ConnectError: `{ type, value }` if it was received, `{ desc, value }` if it was made in this process. */
function infoIn(detail: unknown): ErrorInfo | undefined {
  if (!isObject(detail)) return undefined;
  const { type, desc, value } = detail;
  if (type === ErrorInfoSchema.typeName && value instanceof Uint8Array) {
    return fromBinary(ErrorInfoSchema, value);
  }
  const isOutgoing = isObject(desc) && desc["typeName"] === ErrorInfoSchema.typeName && isObject(value);
  return isOutgoing ? create(ErrorInfoSchema, value) : undefined;
}

/**
 * Whether a call failed because of the session token or JWT that it presented, so that the user has to log in. False for
 * every other failure: the calling service's own credential is UNAUTHENTICATED too, and says nothing about the user. With
 * the reason JWT_EXPIRED the session may still be active; its token tells.
 */
export function isSessionRefused(error: unknown): boolean {
  if (codeOf(error) !== Code.UNAUTHENTICATED) return false;
  const info = errorInfoOf(error);
  return info?.domain === "sessiond" && /^(SESSION|JWT)_/.test(info.reason);
}

/** Returns the numeric code of a failed call, which gRPC and Connect share. */
export function codeOf(error: unknown): number | undefined {
  return isObject(error) && typeof error["code"] === "number" ? error["code"] : undefined;
}

function isGrpcMetadata(value: unknown): value is { get(name: string): readonly unknown[] } {
  return isObject(value) && typeof value["get"] === "function" && typeof value["getMap"] === "function";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
