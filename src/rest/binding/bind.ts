import { type DescField, type Message, create, fromJson } from "@bufbuild/protobuf";
import { type ReflectMessage, isFieldError, reflect } from "@bufbuild/protobuf/reflect";
import { HttpBodySchema } from "../../../gen/google/api/httpbody_pb.ts";
import type { Target } from "../http/exchange.ts";
import { badRequest } from "../errors/failure.ts";
import { assignText, reach } from "./field-path.ts";
import { type JsonCheckOptions, checkField, checkMessage } from "./json-check.ts";
import { parseJsonBody } from "./json-text.ts";
import { percentDecode } from "./percent.ts";
import { bindQuery, parseQuery } from "./query.ts";
import { type CompiledRoute, type PathBinding, httpBodyTypeName } from "../routes/route.ts";

/** What a request says, in its three places. */
export interface RequestParts {
  readonly target: Target;
  /** Raw segments of the path, without the verb. */
  readonly segments: readonly string[];
  readonly body: Uint8Array;
  readonly contentType: string;
}

/** How strict a dialect is. */
export interface BindOptions extends JsonCheckOptions {
  readonly unknownQueryParameters: "refuse" | "ignore";
}

/**
 * Builds the request message. The path wins over the body and the body over the query, field by field: for a call
 * that revokes what the path names, nothing in the body or query may name something else. Throws 400 refusals.
 */
export function bindRequest(route: CompiledRoute, parts: RequestParts, options: BindOptions): Message {
  const message = bindBody(route, parts, options);
  if (route.pathBindings.length === 0 && parts.target.query === "") return message;
  const root = reflect(route.method.input, message);
  for (const binding of route.pathBindings) bindVariable(root, binding, parts.segments);
  bindQuery(root, parseQuery(parts.target.query), {
    isOpen: route.body.kind !== "message",
    isClaimed: (fields) => isClaimed(route, root, parts.body.length > 0, fields),
    unknown: options.unknownQueryParameters,
  });
  return root.message;
}

/** Whether the body of this route is a google.api.HttpBody, which may be of any content type. */
export function readsHttpBody(route: CompiledRoute): boolean {
  switch (route.body.kind) {
    case "none":
      return false;
    case "message":
      return route.method.input.typeName === httpBodyTypeName;
    case "field":
      return (
        route.body.field.fieldKind === "message" && route.body.field.message.typeName === httpBodyTypeName
      );
  }
}

function bindBody(route: CompiledRoute, parts: RequestParts, options: BindOptions): Message {
  const input = route.method.input;
  const { body, contentType } = parts;
  if (route.body.kind === "none" || (body.length === 0 && !readsHttpBody(route))) return create(input);
  if (readsHttpBody(route)) {
    const raw = create(HttpBodySchema, { contentType, data: body });
    if (route.body.kind === "message") return raw;
    const root = reflect(input);
    root.set(route.body.field, reflect(HttpBodySchema, raw));
    return root.message;
  }
  const json = parseJsonBody(body);
  if (route.body.kind === "message") {
    const checked = checkMessage(input, json, "", options);
    return reading(() => fromJson(input, checked, { registry: options.registry }));
  }
  const field = route.body.field;
  const checked = checkField(field, json, field.name, options);
  return reading(() => fromJson(input, { [field.jsonName]: checked }, { registry: options.registry }));
}

/** What is left to protobuf-es to refuse is mostly ranges; its messages repeat values, so only the place is told. */
function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    const place = isFieldError(cause) ? cause.field() : undefined;
    throw badRequest("body", place?.name, "the value does not fit");
  }
}

function bindVariable(
  root: ReflectMessage,
  { variable, path }: PathBinding,
  segments: readonly string[],
): void {
  const raw = segments.slice(variable.start, variable.end).join("/");
  const text = percentDecode(raw, variable.multiSegment ? "slash" : "nothing");
  if (text === undefined) {
    throw badRequest("path", variable.fieldPath, "not percent-encoded UTF-8 without NUL");
  }
  const reason = assignText(reach(root, path.parents), path, text);
  if (reason !== undefined) throw badRequest("path", variable.fieldPath, reason);
}

function isClaimed(
  route: CompiledRoute,
  root: ReflectMessage,
  hasBody: boolean,
  fields: readonly DescField[],
): boolean {
  const top = fields[0];
  switch (route.body.kind) {
    case "none":
      break;
    case "field":
      if (hasBody && top === route.body.field) return true;
      break;
    case "message":
      if (top !== undefined && root.isSet(top)) return true;
      break;
  }
  return route.pathBindings.some(
    ({ path }) =>
      path.fields.length === fields.length && path.fields.every((field, index) => field === fields[index]),
  );
}
