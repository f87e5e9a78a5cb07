import {
  type DescField,
  type DescMessage,
  type DescMethod,
  ScalarType,
  getOption,
  hasOption,
} from "@bufbuild/protobuf";
import { event_stream, success_status } from "../../../gen/rest/v1/options_pb.ts";
import { type FieldPath, resolveFieldPath } from "./field-path.ts";
import type { Binding } from "./http-rules.ts";
import { type Template, type Variable, parseTemplate } from "./template.ts";

/** The body is ignored, the whole message, or one field. */
export type BodyRule =
  | { readonly kind: "none" }
  | { readonly kind: "message" }
  | { readonly kind: "field"; readonly field: DescField };

export interface PathBinding {
  readonly variable: Variable;
  readonly path: FieldPath;
}

export interface CompiledRoute {
  /** "*" for any method. */
  readonly httpMethod: string;
  readonly template: Template;
  readonly method: DescMethod;
  readonly pathBindings: readonly PathBinding[];
  readonly body: BodyRule;
  /** The field that is the whole answer; undefined if the message is. */
  readonly responseField: DescField | undefined;
  readonly successStatus: number;
  /** How server-sent events are numbered; undefined if they are not. */
  readonly eventStream: EventStreamRule | undefined;
}

export interface EventStreamRule {
  /** The response field that is the id of an event. */
  readonly id: DescField;
  /** The request field that `Last-Event-ID` sets. */
  readonly lastEventId: FieldPath;
}

export const httpBodyTypeName = "google.api.HttpBody";

/** Checks a binding against the descriptors. Throws an Error for an invalid rule. */
export function compileRoute({ method, rule }: Binding): CompiledRoute {
  if (method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming") {
    throw new Error("a method that reads a stream cannot be served over REST");
  }
  const { httpMethod, path } = patternOf(rule.pattern);
  const template = parseTemplate(path);
  const pathBindings = template.variables.map((variable) => bindVariable(method.input, variable));
  refuseOverlap(pathBindings);
  const body = compileBody(method.input, rule.body);
  if (body.kind !== "none" && (httpMethod === "GET" || httpMethod === "HEAD")) {
    throw new Error(`${httpMethod} must not have a body`);
  }
  if (body.kind === "field" && pathBindings.some(({ path }) => path.field === body.field)) {
    throw new Error(`the field "${body.field.name}" is bound by the path and by the body`);
  }
  return {
    httpMethod,
    template,
    method,
    pathBindings,
    body,
    responseField:
      rule.responseBody === "" ? undefined : topLevelField(method.output, rule.responseBody, "response_body"),
    successStatus: successStatusOf(method),
    eventStream: eventStreamOf(method),
  };
}

function patternOf(pattern: Binding["rule"]["pattern"]): { httpMethod: string; path: string } {
  switch (pattern.case) {
    case undefined:
      throw new Error("the http rule has no pattern");
    case "custom":
      if (!/^(?:\*|[!#$%&'+\-.^_`|~0-9A-Za-z]+)$/.test(pattern.value.kind)) {
        throw new Error(`"${pattern.value.kind}" is not an HTTP method`);
      }
      return { httpMethod: pattern.value.kind, path: pattern.value.path };
    case "get":
    case "put":
    case "post":
    case "delete":
    case "patch":
      return { httpMethod: pattern.case.toUpperCase(), path: pattern.value };
  }
}

function bindVariable(input: DescMessage, variable: Variable): PathBinding {
  const path = resolveFieldPath(input, variable.fieldPath, "proto");
  if ("kind" in path) throw new Error(`path variable "${variable.fieldPath}": ${path.reason}`);
  if (path.field.fieldKind === "list") {
    throw new Error(`path variable "${variable.fieldPath}": a repeated field cannot be in a path`);
  }
  return { variable, path };
}

/** Throws if two variables fill one field, or two members of one oneof. */
function refuseOverlap(bindings: readonly PathBinding[]): void {
  const taken = new Map<string, string>();
  for (const { variable, path } of bindings) {
    const names = variable.fieldPath.split(".");
    for (const [index, field] of path.fields.entries()) {
      const parent = names.slice(0, index).join(".");
      const slot = field.oneof === undefined ? `${parent}.${field.name}` : `${parent}.(${field.oneof.name})`;
      const isLast = field === path.field;
      const use = isLast ? `${variable.fieldPath} itself` : field.name;
      const other = taken.get(slot);
      if (other !== undefined && (isLast || other !== use)) {
        throw new Error(
          `path variable "${variable.fieldPath}": the field, or the oneof it is in, is bound twice`,
        );
      }
      taken.set(slot, use);
    }
  }
}

function compileBody(input: DescMessage, body: string): BodyRule {
  switch (body) {
    case "":
      return { kind: "none" };
    case "*":
      return { kind: "message" };
    default:
      return { kind: "field", field: topLevelField(input, body, "body") };
  }
}

function topLevelField(message: DescMessage, name: string, what: string): DescField {
  const field = message.fields.find((field) => field.name === name);
  if (field === undefined) throw new Error(`${what}: ${message.typeName} has no field "${name}"`);
  return field;
}

function successStatusOf(method: DescMethod): number {
  const status = hasOption(method, success_status) ? getOption(method, success_status) : 200;
  if (status < 200 || status > 299) throw new Error(`success_status must be 200 to 299, not ${status}`);
  return status;
}

function eventStreamOf(method: DescMethod): EventStreamRule | undefined {
  if (!hasOption(method, event_stream)) return undefined;
  const { idField, lastEventIdField } = getOption(method, event_stream);
  const id = topLevelField(method.output, idField, "event_stream.id_field");
  const field = topLevelField(method.input, lastEventIdField, "event_stream.last_event_id_field");
  if (id.scalar !== ScalarType.STRING || field.scalar !== ScalarType.STRING) {
    throw new Error("event_stream: both fields must be strings");
  }
  return { id, lastEventId: { parents: [], field, fields: [field] } };
}
