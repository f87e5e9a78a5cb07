import type { DescField, JsonObject } from "@bufbuild/protobuf";
import { isEmptyMessage, resolveFieldPath } from "../routes/field-path.ts";
import type { CompiledRoute } from "../routes/route.ts";
import { commentOf } from "./comments.ts";
import { type Schemas, isRequired } from "./schemas.ts";

/** The path of a route in OpenAPI's form. Throws for a template that OpenAPI cannot express. */
export function pathOfRoute({ template }: CompiledRoute): string {
  const names = new Set<string>();
  const segments = template.segments.map((segment, index) => {
    if (segment.kind === "literal") return segment.text;
    const variable = template.variables.find(({ start, end = start }) => start <= index && index < end);
    if (variable === undefined || names.has(variable.fieldPath)) {
      throw new Error(
        `${template.text}: OpenAPI has no wildcard without a name and none of several segments`,
      );
    }
    names.add(variable.fieldPath);
    return `{${variable.fieldPath}}`;
  });
  return `/${segments.join("/")}${template.verb === undefined ? "" : `:${template.verb}`}`;
}

/** The parameters of a route in its path, query and headers. */
export function parametersOf(route: CompiledRoute, schemas: Schemas): JsonObject[] {
  const inPath = route.pathBindings.map(({ variable, path }) => ({
    name: variable.fieldPath,
    in: "path",
    required: true,
    ...described(path.field, schemas, []),
  }));
  return [...inPath, ...queryParameters(route, schemas), ...eventHeaders(route, schemas)];
}

/** The fields below `parents` that the path does not set, without those of oneofs that the path decides. */
export function freeFields(
  { method, pathBindings }: CompiledRoute,
  parents: readonly DescField[],
): DescField[] {
  const index = parents.length;
  const bound = pathBindings
    .filter(({ path }) => parents.every((parent, i) => parent === path.fields[i]))
    .map(({ path: { fields } }) => ({ field: fields[index], isWhole: fields.length === index + 1 }));
  const isTaken = (one: DescField) =>
    bound.some(({ field, isWhole }) =>
      field === one ? isWhole : one.oneof !== undefined && field?.oneof === one.oneof,
    );
  return ((parents.at(-1) ?? { message: method.input }).message?.fields ?? []).filter((one) => !isTaken(one));
}

function queryParameters(route: CompiledRoute, schemas: Schemas): JsonObject[] {
  const { body } = route;
  if (body.kind === "message") return [];
  const fields = freeFields(route, []).filter((field) => body.kind === "none" || field !== body.field);
  return fields
    .flatMap((field) => leavesOf(route, [field], schemas))
    .map(({ name, field }) => {
      const others = (field.oneof?.fields ?? []).filter((one) => one !== field);
      const isEmpty = field.message !== undefined && isEmptyMessage(field.message);
      return {
        name,
        in: "query",
        ...(isRequired(field) && !name.includes(".") && { required: true }),
        ...described(field, schemas, others),
        // A message without fields has no value: `?snapshot=`.
        ...(isEmpty && { allowEmptyValue: true, schema: { type: "string", enum: [""] } }),
      };
    });
}

/** The header with which a client resumes a stream of server-sent events. */
function eventHeaders({ eventStream }: CompiledRoute, schemas: Schemas): JsonObject[] {
  if (eventStream === undefined) return [];
  const name = schemas.nameOf(eventStream.lastEventId.field);
  const description = `Id of the last event that a client received. Takes precedence over \`${name}\`.`;
  return [{ name: "Last-Event-ID", in: "header", description, schema: { type: "string" } }];
}

/** Description and schema of a parameter. `others` are the fields that it excludes. */
function described(field: DescField, schemas: Schemas, others: readonly DescField[]): JsonObject {
  const excluded = others.map((one) => `\`${schemas.nameOf(one)}\``).join(" and ");
  const description = [commentOf(field), excluded && `Excludes ${excluded}.`].filter((text) => text !== "");
  return {
    ...(description.length > 0 && { description: description.join(" ") }),
    ...(field.proto.options?.deprecated === true && { deprecated: true }),
    schema: schemas.value(field, "request"),
  };
}

/** A parameter's dotted name in JSON names, and the field that it fills. */
interface Leaf {
  readonly name: string;
  readonly field: DescField;
}

/** The fields at and below a path that text can fill, by the rules of query parameters. Leaves out messages within themselves. */
function leavesOf(route: CompiledRoute, path: readonly DescField[], schemas: Schemas): Leaf[] {
  const dotted = path.map(({ name }) => name).join(".");
  const resolved = resolveFieldPath(route.method.input, dotted, "proto");
  if (!("kind" in resolved)) {
    return [{ name: path.map((field) => schemas.nameOf(field)).join("."), field: resolved.field }];
  }
  const last = path.at(-1);
  const isRecursive = path.slice(0, -1).some(({ message }) => message === last?.message);
  if (last?.fieldKind !== "message" || isRecursive) return [];
  return freeFields(route, path).flatMap((field) => leavesOf(route, [...path, field], schemas));
}
