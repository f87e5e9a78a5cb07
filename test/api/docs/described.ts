import { readFileSync, readdirSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";

/** The part of an OpenAPI document that tests read. */
export interface Described {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

export interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly unknown[];
  readonly security: readonly Readonly<Record<string, unknown>>[];
  readonly responses: Readonly<Record<string, unknown>>;
}

/** The committed documents, by the names of their files. */
export const documents: ReadonlyMap<string, Described> = new Map(
  readdirSync("gen/openapi").map((file) => [
    file.replace(/\.json$/, ""),
    JSON.parse(readFileSync(`gen/openapi/${file}`, "utf8")) as Described,
  ]),
);

export interface DescribedOperation extends Operation {
  /** Such as `POST /session/v1/sessions/{id}:revoke`. */
  readonly route: string;
}

export function operationsOf({ paths }: Described): readonly DescribedOperation[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      ...operation,
      route: `${method.toUpperCase()} ${path}`,
    })),
  );
}

/** Compares requests and answers with a document. Each returns the problem. */
export interface Checks {
  /** The JSON of an accepted request. */
  request(route: string, json: unknown): string | undefined;
  /** The JSON of an answer. `default` describes no status. */
  answer(route: string, status: number, contentType: string, json: unknown): string | undefined;
}

export function checksOf(document: Described): Checks {
  const ajv = new Ajv2020({ strict: false, formats: { "date-time": dateTime, int32: true, int64: true } });
  ajv.addSchema({ ...document, components: closed(document) }, "document");
  const check = (what: string, place: string, contentType: string, json: unknown) => {
    const validate = ajv.compile({ $ref: `document${place}/content/${escaped(contentType)}/schema` });
    return validate(json) ? undefined : `${what}: ${ajv.errorsText(validate.errors)}`;
  };
  return {
    request: (route, json) => check(route, `#/${pointerTo(route)}/requestBody`, "application/json", json),
    answer(route, status, contentType, json) {
      const [method = "", path = ""] = route.split(" ");
      const found = document.paths[path]?.[method.toLowerCase()]?.responses[String(status)];
      if (found === undefined) return `${route} has no answer ${status}`;
      const place = referenceIn(found) ?? `#/${pointerTo(route)}/responses/${status}`;
      return check(`${route} ${status}`, place, contentType, json);
    },
  };
}

/** The components of a document with objects that may only have the members that it names. */
function closed({ components }: Described): Described["components"] {
  const schemas = Object.entries(components.schemas).map(([name, schema]) => [
    name,
    "properties" in schema ? { ...schema, additionalProperties: false } : schema,
  ]);
  return { ...components, schemas: Object.fromEntries(schemas) };
}

function pointerTo(route: string): string {
  const [method = "", path = ""] = route.split(" ");
  return ["paths", path, method.toLowerCase()].map(escaped).join("/");
}

const dateTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

function referenceIn(value: unknown): string | undefined {
  return typeof value === "object" && value !== null && "$ref" in value ? String(value.$ref) : undefined;
}

/** Escapes a step of a JSON pointer within a URI (RFC 6901, 6). */
function escaped(step: string): string {
  return encodeURIComponent(step.replaceAll("~", "~0").replaceAll("/", "~1"));
}
