import {
  type DescField,
  type JsonValue,
  type JsonWriteOptions,
  type Message,
  create,
  toJson,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { HttpBody } from "../../gen/google/api/httpbody_pb.ts";
import type { Content } from "./http/send.ts";
import { type CompiledRoute, httpBodyTypeName } from "./routes/route.ts";

/** The content of an answer. */
export interface Payload {
  readonly contentType: string;
  readonly content: Content;
}

/** How answers are written where the dialect does not say: fields with default values are there too. */
export const defaultWrite: Partial<JsonWriteOptions> = { alwaysEmitImplicit: true };

/** Encodes an output message: a google.api.HttpBody as it stands, one field if `response_body` says so, JSON else. */
export function encodeAnswer(
  route: CompiledRoute,
  message: Message,
  write: Partial<JsonWriteOptions>,
): Payload {
  const raw = httpBodyOf(route, message);
  if (raw !== undefined) {
    return { contentType: raw.contentType || "application/octet-stream", content: raw.data };
  }
  const json =
    route.responseField === undefined
      ? toJson(route.method.output, message, write)
      : fieldJson(route, route.responseField, message, write);
  return { contentType: "application/json", content: JSON.stringify(json) };
}

/** Whether answers are raw bytes, so that nothing can be added to a stream of them. */
export function writesHttpBody(route: CompiledRoute): boolean {
  const field = route.responseField;
  const type =
    field === undefined ? route.method.output : field.fieldKind === "message" ? field.message : undefined;
  return type?.typeName === httpBodyTypeName;
}

function httpBodyOf(route: CompiledRoute, message: Message): HttpBody | undefined {
  if (!writesHttpBody(route)) return undefined;
  const field = route.responseField;
  if (field?.fieldKind !== "message") return message as HttpBody;
  return reflect(route.method.output, message).get(field).message as HttpBody;
}

function fieldJson(
  route: CompiledRoute,
  field: DescField,
  message: Message,
  write: Partial<JsonWriteOptions>,
): JsonValue {
  const name = write.useProtoFieldName === true ? field.name : field.jsonName;
  const read = (json: JsonValue): JsonValue | undefined =>
    typeof json === "object" && json !== null && !Array.isArray(json) ? json[name] : undefined;
  const output = route.method.output;
  return (
    read(toJson(output, message, write)) ??
    // The whole answer cannot be left out: an empty list is [], an unset message null.
    read(toJson(output, create(output), { ...write, alwaysEmitImplicit: true })) ??
    null
  );
}
