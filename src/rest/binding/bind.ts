import { type DescField, type DescMessage, type Message, create, fromJson } from "@bufbuild/protobuf";
import { type ReflectMessage, isFieldError, reflect } from "@bufbuild/protobuf/reflect";
import { HttpBodySchema } from "../../../gen/google/api/httpbody_pb.ts";
import type { Target } from "../../transport/http-message.ts";
import { badRequest } from "../errors/failure.ts";
import { assignText } from "./text-value.ts";
import { type JsonCheckOptions, checkField, checkMessage } from "./json-check.ts";
import { parseJsonBody } from "./json-parse.ts";
import { percentDecode } from "./percent.ts";
import { bindQuery, parseQuery } from "./query.ts";
import { type CompiledRoute, type PathBinding, httpBodyTypeName } from "../routes/route.ts";

export interface RequestParts {
  readonly target: Target;
  /** Segments of the path as sent, without the verb. */
  readonly segments: readonly string[];
  readonly body: Uint8Array;
  readonly contentType: string;
  /** The header `Last-Event-ID`; empty if it is absent. */
  readonly lastEventId: string;
}

export interface BindOptions extends JsonCheckOptions {
  readonly unknownQueryParameters: "refuse" | "ignore";
}

/**
 * Builds the request message. The path wins over the body and the body over the query, field by field: if the path names what to
 * revoke, nothing else can. Throws 400 errors.
 */
export function bindRequest(route: CompiledRoute, parts: RequestParts, options: BindOptions): Message {
  const message = bindBody(route, parts, options);
  const resumed = parts.lastEventId === "" ? undefined : route.eventStream?.lastEventId;
  if (route.pathBindings.length === 0 && parts.target.query === "" && resumed === undefined) return message;
  const root = reflect(route.method.input, message);
  for (const binding of route.pathBindings) bindVariable(root, binding, parts.segments);
  bindQuery(root, parseQuery(parts.target.query), {
    isOpen: route.body.kind !== "message",
    isClaimed: (fields) => isClaimed(route, root, parts.body.length > 0, fields),
    unknown: options.unknownQueryParameters,
  });
  // A client that reconnects repeats the query of its first request, so the header comes last.
  if (resumed !== undefined) {
    assignText(root, resumed, parts.lastEventId, { place: "header", name: "last-event-id" });
  }
  return root.message;
}

/** Whether the body is a google.api.HttpBody, which may have any content type. */
export function readsHttpBody({ body, method }: CompiledRoute): boolean {
  if (body.kind === "none") return false;
  const type = body.kind === "message" ? method.input : body.field.message;
  return type?.typeName === httpBodyTypeName;
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
  if (route.body.kind === "message") return parseJsonMessage(input, body, options);
  const field = route.body.field;
  const checked = checkField(field, parseJsonBody(body), options);
  return read(() => fromJson(input, { [field.jsonName]: checked }, { registry: options.registry }));
}

/** Reads a JSON message. Throws 400 errors that name the place and repeat no value. */
export function parseJsonMessage(type: DescMessage, body: Uint8Array, options: JsonCheckOptions): Message {
  const checked = checkMessage(type, parseJsonBody(body), options);
  return read(() => fromJson(type, checked, { registry: options.registry }));
}

/** Runs protobuf-es on checked JSON. Its errors, of values out of range, repeat the value; ours name the field only. */
function read(decode: () => Message): Message {
  try {
    return decode();
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
  assignText(root, path, text, { place: "path", name: variable.fieldPath });
}

/** Whether the path or the body sets this field. */
function isClaimed(
  route: CompiledRoute,
  root: ReflectMessage,
  hasBody: boolean,
  fields: readonly DescField[],
): boolean {
  const [top] = fields;
  if (route.body.kind === "field" && hasBody && top === route.body.field) return true;
  if (route.body.kind === "message" && top !== undefined && root.isSet(top)) return true;
  return route.pathBindings.some(
    ({ path }) =>
      path.fields.length === fields.length && path.fields.every((field, index) => field === fields[index]),
  );
}
