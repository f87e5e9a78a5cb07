import {
  type DescMessage,
  type JsonObject,
  type Message,
  type Registry,
  create,
  fromBinary,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import type { ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";

type Detail = ConnectError["details"][number];

/**
 * Writes an error as the JSON of google.rpc.Status. `registry` has types of details that are known only by name. A detail of an
 * unknown type is written as base64, so that it does not replace the error.
 */
export function statusJson(error: ConnectError, registry?: Registry): JsonObject {
  return {
    code: error.code,
    message: error.rawMessage,
    details: error.details.map((detail) => detailJson(detail, registry)),
  };
}

function detailJson(detail: Detail, registry: Registry | undefined): JsonObject {
  const type = "desc" in detail ? detail.desc.typeName : detail.type;
  const bytes = "desc" in detail ? toBinary(detail.desc, create(detail.desc, detail.value)) : detail.value;
  const desc = "desc" in detail ? detail.desc : registry?.getMessage(detail.type);
  const json = desc && messageJson(desc, bytes, registry);
  return { "@type": `type.googleapis.com/${type}`, ...(json ?? { value: base64Encode(bytes) }) };
}

/** Undefined for malformed bytes, and for a google.protobuf.Any of an unknown type. */
function messageJson(desc: DescMessage, bytes: Uint8Array, registry?: Registry): JsonObject | undefined {
  try {
    const message: Message = fromBinary(desc, bytes);
    const json = toJson(desc, message, { registry });
    const isPlain = typeof json === "object" && json !== null && !Array.isArray(json);
    // A well-known type has a JSON form of its own, which google.protobuf.Any holds in `value`.
    const hasOwnForm =
      desc.typeName.startsWith("google.protobuf.") && desc.typeName !== "google.protobuf.Empty";
    return isPlain && !hasOwnForm ? json : { value: json };
  } catch {
    return undefined;
  }
}

/** `Retry-After` of an error with google.rpc.RetryInfo, in whole seconds, rounded up. */
export function retryAfterOf(error: ConnectError): string | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  if (delay === undefined) return undefined;
  return String(Math.max(0, Number(delay.seconds) + (delay.nanos > 0 ? 1 : 0)));
}
