import { readFileSync, readdirSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";

/** The part of an OpenAPI document that tests read. */
export interface Described {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export interface Operation {
  readonly operationId: string;
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

/**
 * Checks the JSON of an answer against what a document says about this route and status. Returns the
 * problem. The answer `default` of a document describes no status.
 */
export type AnswerCheck = (
  route: string,
  status: number,
  contentType: string,
  json: unknown,
) => string | undefined;

export function answerCheck(document: Described): AnswerCheck {
  const ajv = new Ajv2020({ strict: false, formats: { "date-time": dateTime, int32: true, int64: true } });
  ajv.addSchema(document, "document");
  return (route, status, contentType, json) => {
    const [method = "", path = ""] = route.split(" ");
    const found = document.paths[path]?.[method.toLowerCase()]?.responses[String(status)];
    if (found === undefined) return `${route} has no answer ${status}`;
    const at = ["paths", path, method.toLowerCase(), "responses", String(status)];
    const place = referenceIn(found) ?? `#/${at.map(escaped).join("/")}`;
    const $ref = `document${place}/content/${escaped(contentType)}/schema`;
    const validate = ajv.compile({ $ref });
    return validate(json) ? undefined : `${route} ${status}: ${ajv.errorsText(validate.errors)}`;
  };
}

const dateTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

function referenceIn(value: unknown): string | undefined {
  return typeof value === "object" && value !== null && "$ref" in value ? String(value.$ref) : undefined;
}

/** Escapes a step of a JSON pointer within a URI (RFC 6901, 6). */
function escaped(step: string): string {
  return encodeURIComponent(step.replaceAll("~", "~0").replaceAll("/", "~1"));
}
