import type { DescMethod, JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Dialect } from "../dialect.ts";
import type { Schemas } from "./schemas.ts";

/** An error answer: what it means, in Markdown, and what it may look like. */
export interface ErrorOutline {
  readonly description: string;
  readonly example?: JsonValue;
}

/** What an API's document says beyond its descriptors. */
export interface ApiOutline {
  readonly title: string;
  readonly version: string;
  /** Markdown. */
  readonly description: string;
  readonly dialect: Dialect;
  readonly securitySchemes: Readonly<Record<string, JsonObject>>;
  /** The alternatives by which a method's caller authenticates; none for a public method. */
  readonly security: (method: DescMethod) => readonly JsonObject[];
  /** Parameters in headers besides those that the routes have. */
  readonly headers?: (method: DescMethod) => readonly JsonObject[];
  /** The error answers, by status; `default` for all others. */
  readonly errors: Readonly<Record<string, ErrorOutline>>;
  /** Which of `errors` a method may answer with. */
  readonly statuses: (method: DescMethod) => readonly string[];
  /** The schema of all error answers. */
  readonly errorSchema: (schemas: Schemas) => JsonObject;
}
