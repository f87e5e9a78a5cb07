import {
  type DescMessage,
  type JsonObject,
  type JsonValue,
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
 * A ConnectError as the JSON of google.rpc.Status. `registry` resolves details that are only known by type name; one of
 * an unknown type is written with its bytes in base64, for an error must not fail on its own decoration.
 */
export function statusJson(error: ConnectError, registry?: Registry): JsonObject {
  return {
    code: error.code,
    message: error.rawMessage,
    details: error.details.map((detail) => detailJson(detail, registry)),
  };
}

function detailJson(detail: Detail, registry: Registry | undefined): JsonObject {
  if ("desc" in detail) {
    const message = create(detail.desc, detail.value);
    return (
      messageJson(detail.desc, message, registry) ??
      opaqueJson(detail.desc.typeName, toBinary(detail.desc, message))
    );
  }
  const desc = registry?.getMessage(detail.type);
  return decodedJson(desc, detail.value, registry) ?? opaqueJson(detail.type, detail.value);
}

function decodedJson(
  desc: DescMessage | undefined,
  bytes: Uint8Array,
  registry?: Registry,
): JsonObject | undefined {
  try {
    return desc === undefined ? undefined : messageJson(desc, fromBinary(desc, bytes), registry);
  } catch {
    return undefined;
  }
}

function messageJson(
  desc: DescMessage,
  message: Message,
  registry: Registry | undefined,
): JsonObject | undefined {
  try {
    const json: JsonValue = toJson(desc, message, { registry });
    const isPlain = typeof json === "object" && json !== null && !Array.isArray(json);
    const hasOwnForm =
      desc.typeName.startsWith("google.protobuf.") && desc.typeName !== "google.protobuf.Empty";
    return { "@type": typeUrl(desc.typeName), ...(isPlain && !hasOwnForm ? json : { value: json }) };
  } catch {
    // For one, a google.protobuf.Any in it whose type the registry does not have.
    return undefined;
  }
}

function opaqueJson(typeName: string, bytes: Uint8Array): JsonObject {
  return { "@type": typeUrl(typeName), value: base64Encode(bytes) };
}

function typeUrl(typeName: string): string {
  return `type.googleapis.com/${typeName}`;
}

/** `Retry-After` of an error with google.rpc.RetryInfo, in whole seconds, rounded up. */
export function retryAfterOf(error: ConnectError): string | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  if (delay === undefined) return undefined;
  return String(Math.max(0, Number(delay.seconds) + (delay.nanos > 0 ? 1 : 0)));
}
