import {
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  ScalarType,
} from "@bufbuild/protobuf";
import { scalarZeroValue } from "@bufbuild/protobuf/reflect";
import { type CompiledRoute, httpBodyTypeName } from "../routes/route.ts";
import { commentOf, summaryOf } from "./comments.ts";
import type { ApiOutline } from "./outline.ts";
import { freeFields, parametersOf } from "./parameters.ts";
import { type Schemas, isRequired, isRequiredOneof } from "./schemas.ts";

/** Describes one route. */
export function operationOf(
  route: CompiledRoute,
  operationId: string,
  outline: ApiOutline,
  schemas: Schemas,
): JsonObject {
  const { method } = route;
  const description = commentOf(method);
  const summary = summaryOf(description);
  const parameters = [...parametersOf(route, schemas), ...(outline.headers?.(method) ?? [])];
  const requestBody = requestBodyOf(route, operationId, schemas);
  const failures = outline
    .statuses(method)
    .map((status) => [status, { $ref: `#/components/responses/${responseName(status)}` }]);
  return {
    operationId,
    tags: [method.parent.name],
    summary,
    ...(description !== `${summary}.` && { description }),
    ...(method.proto.options?.deprecated === true && { deprecated: true }),
    security: [...outline.security(method)],
    ...(parameters.length > 0 && { parameters }),
    ...(requestBody !== undefined && { requestBody }),
    responses: { [route.successStatus]: successOf(route, schemas), ...Object.fromEntries(failures) },
  };
}

/** The shared responses of an API, for each status of its errors. */
export function errorResponses({ errors, errorSchema }: ApiOutline, schemas: Schemas): JsonObject {
  const schema = errorSchema(schemas);
  return Object.fromEntries(
    Object.entries(errors).map(([status, { description, example }]) => {
      const json = { schema, ...(example !== undefined && { example }) };
      return [
        responseName(status),
        { description, headers: headersOf(status), content: { "application/json": json } },
      ];
    }),
  );
}

/** Headers of answers, as components. */
export const headers: JsonObject = {
  RequestId: {
    description:
      "Id of the request: the caller's own `X-Request-Id` of 1 to 128 visible ASCII characters, or a fresh UUID.",
    schema: { type: "string" },
  },
  WwwAuthenticate: { description: "How to authenticate (RFC 9110, 11.6.1).", schema: { type: "string" } },
  RetryAfter: {
    description: "Seconds after which to try again.",
    schema: { type: "string", pattern: "^\\d+$" },
  },
};

const ownHeaders: Readonly<Record<string, JsonObject>> = {
  401: { "WWW-Authenticate": { $ref: "#/components/headers/WwwAuthenticate" } },
  429: { "Retry-After": { $ref: "#/components/headers/RetryAfter" } },
  503: { "Retry-After": { $ref: "#/components/headers/RetryAfter" } },
};

function headersOf(status: string): JsonObject {
  return { "X-Request-Id": { $ref: "#/components/headers/RequestId" }, ...ownHeaders[status] };
}

function responseName(status: string): string {
  return status === "default" ? "Error" : `Error${status}`;
}

function requestBodyOf(route: CompiledRoute, operationId: string, schemas: Schemas): JsonObject | undefined {
  const { body, method } = route;
  if (body.kind === "none") return undefined;
  const field = body.kind === "field" ? body.field : undefined;
  const message = field === undefined ? method.input : field.message;
  if (isHttpBody(message)) return { content: { "*/*": {} } };
  const isField = field !== undefined && isRequired(field);
  const fields = freeFields(route, field === undefined ? [] : [field]);
  if (message !== undefined && fields.length < message.fields.length) {
    if (fields.length === 0) return undefined;
    const make = () => schemas.object(message, "request", fields);
    const name = `${operationId}Body`;
    const schema = schemas.component(name, `${message.typeName} in ${name}`, make);
    const example = exampleOf(fields, schemas);
    return jsonBody(schema, isField || !isEmpty(example), example);
  }
  if (field !== undefined) {
    return jsonBody(schemas.field(field, "request"), isField, placeholderOf(field, schemas));
  }
  const example = exampleOf(fields, schemas);
  return jsonBody(schemas.message(method.input, "request"), !isEmpty(example), example);
}

function isEmpty(object: JsonObject): boolean {
  return Object.keys(object).length === 0;
}

function jsonBody(schema: JsonObject, required: boolean, example: JsonValue): JsonObject {
  return { required, content: { "application/json": { schema, example } } };
}

function successOf({ method, successStatus, responseField }: CompiledRoute, schemas: Schemas): JsonObject {
  const head = { description: "Success.", headers: headersOf(String(successStatus)) };
  if (successStatus === 204) return head;
  if (isHttpBody(responseField === undefined ? method.output : responseField.message)) {
    return { ...head, content: { "*/*": {} } };
  }
  const schema =
    responseField === undefined
      ? schemas.message(method.output, "answer")
      : schemas.field(responseField, "answer");
  if (method.methodKind !== "server_streaming") {
    return { ...head, content: { "application/json": { schema } } };
  }
  const lines = 'One message on each line. An error that ends the stream is a last line `{"error": ...}`.';
  const events =
    "With `Accept: text/event-stream`: one message in each event. An error is a last event `error`.";
  return {
    ...head,
    description: "A stream of messages.",
    content: {
      "application/x-ndjson": { schema: { ...schema, description: lines } },
      "text/event-stream": { schema: { type: "string", description: events } },
    },
  };
}

function isHttpBody(message: DescMessage | undefined): boolean {
  return message?.typeName === httpBodyTypeName;
}

/**
 * The smallest JSON object that a request may have, with placeholders, for forms in which it is edited. Of a oneof it has the first
 * string: an id or a token is easier to fill in than a message.
 */
function exampleOf(fields: readonly DescField[], schemas: Schemas): JsonObject {
  const isChosen = (field: DescField) => {
    const members = fields.filter(({ oneof }) => oneof === field.oneof);
    return (members.find(({ scalar }) => scalar === ScalarType.STRING) ?? members[0]) === field;
  };
  return Object.fromEntries(
    fields
      .filter((field) =>
        field.oneof === undefined ? isRequired(field) : isRequiredOneof(field.oneof) && isChosen(field),
      )
      .map((field) => [schemas.nameOf(field), placeholderOf(field, schemas)]),
  );
}

function placeholderOf(field: DescField, schemas: Schemas): JsonValue {
  if (field.fieldKind === "map") return {};
  const { examples, type } = field.message === undefined ? {} : schemas.message(field.message, "request");
  const single = (): JsonValue => {
    if (Array.isArray(examples)) return examples[0] ?? "";
    if (field.message !== undefined) return type === "string" ? "" : exampleOf(field.message.fields, schemas);
    if (field.enum !== undefined) return (field.enum.values[1] ?? field.enum.values[0])?.name ?? "";
    return scalarPlaceholder(field.scalar);
  };
  return field.fieldKind === "list" ? [single()] : single();
}

function scalarPlaceholder(scalar: ScalarType): JsonValue {
  if (scalar === ScalarType.STRING) return "string";
  const zero = scalarZeroValue(scalar, false);
  return typeof zero === "number" || typeof zero === "boolean" ? zero : String(zero);
}
