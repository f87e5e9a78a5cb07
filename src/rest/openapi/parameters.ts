import type { DescField, DescMessage, JsonObject } from "@bufbuild/protobuf";
import { resolveFieldPath } from "../routes/field-path.ts";
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

/** The path and query parameters of a route. */
export function parametersOf(route: CompiledRoute, schemas: Schemas): JsonObject[] {
  const inPath = route.pathBindings.map(({ variable, path }) =>
    parameter(variable.fieldPath, "path", path.field, schemas),
  );
  return [...inPath, ...queryParameters(route, schemas)];
}

/** The top-level fields that a request may set in its body: all but those of the path and of the oneofs that the path decides. */
export function fieldsOfBody({ method, pathBindings }: CompiledRoute): DescField[] {
  const bound = pathBindings.filter(({ path }) => path.parents.length === 0).map(({ path }) => path.field);
  const oneofs = pathBindings.flatMap(({ path }) => path.fields[0]?.oneof ?? []);
  return method.input.fields.filter(
    (field) => !bound.includes(field) && !(field.oneof !== undefined && oneofs.includes(field.oneof)),
  );
}

function queryParameters(route: CompiledRoute, schemas: Schemas): JsonObject[] {
  const { body } = route;
  if (body.kind === "message") return [];
  const fields = fieldsOfBody(route).filter((field) => body.kind === "none" || field !== body.field);
  return fields
    .flatMap((field) => leavesOf(route.method.input, [field], schemas))
    .map(({ name, field }) => parameter(name, "query", field, schemas));
}

function parameter(name: string, place: "path" | "query", field: DescField, schemas: Schemas): JsonObject {
  const others = place === "path" ? [] : (field.oneof?.fields ?? []).filter((one) => one !== field);
  const excludes = others.map((one) => `\`${schemas.nameOf(one)}\``).join(" and ");
  const description = [commentOf(field), excludes && `Excludes ${excludes}.`].filter((text) => text !== "");
  return {
    name,
    in: place,
    ...((place === "path" || (isRequired(field) && !name.includes("."))) && { required: true }),
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
function leavesOf(root: DescMessage, path: readonly DescField[], schemas: Schemas): Leaf[] {
  const resolved = resolveFieldPath(root, path.map(({ name }) => name).join("."), "proto");
  if (!("kind" in resolved)) {
    return [{ name: path.map((field) => schemas.nameOf(field)).join("."), field: resolved.field }];
  }
  const last = path.at(-1);
  const isRecursive = path.slice(0, -1).some(({ message }) => message === last?.message);
  if (last?.fieldKind !== "message" || isRecursive) return [];
  return last.message.fields.flatMap((field) => leavesOf(root, [...path, field], schemas));
}
