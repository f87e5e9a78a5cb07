import { type JsonValue, type Message, create, toJson } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { HttpBody } from "../../gen/google/api/httpbody_pb.ts";
import type { ServedRoute } from "./build-routes.ts";
import type { Content } from "./http/send.ts";
import { httpBodyTypeName } from "./routes/route.ts";

/** The content of an answer. */
export interface Payload {
  readonly contentType: string;
  readonly content: Content;
}

/** Encodes an output message: a google.api.HttpBody as it is, the field that `response_body` names, otherwise JSON. */
export function encodeAnswer(route: ServedRoute, message: Message): Payload {
  if (!writesHttpBody(route)) {
    return { contentType: "application/json", content: JSON.stringify(answerJson(route, message)) };
  }
  const field = route.responseField;
  const output = field === undefined ? message : reflect(route.method.output, message).get(field);
  const { contentType, data } = (
    field === undefined ? output : (output as { message: Message }).message
  ) as HttpBody;
  return { contentType: contentType || "application/octet-stream", content: data };
}

/** Whether answers are the bytes of a google.api.HttpBody, to which nothing can be added. */
export function writesHttpBody({ method, responseField: field }: ServedRoute): boolean {
  return (field === undefined ? method.output : field.message)?.typeName === httpBodyTypeName;
}

function answerJson({ method, responseField, dialect }: ServedRoute, message: Message): JsonValue {
  const write = dialect.write ?? { alwaysEmitImplicit: true };
  const json = toJson(method.output, message, write);
  if (responseField === undefined) return json;
  const name = write.useProtoFieldName === true ? responseField.name : responseField.jsonName;
  const read = (whole: JsonValue) => (whole as Readonly<Record<string, JsonValue>>)[name];
  // The whole answer cannot be left out: an empty list is [], an unset message null.
  const empty = () => toJson(method.output, create(method.output), { ...write, alwaysEmitImplicit: true });
  return read(json) ?? read(empty()) ?? null;
}
