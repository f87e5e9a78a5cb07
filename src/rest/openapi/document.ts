import type { JsonObject } from "@bufbuild/protobuf";
import type { CompiledRoute } from "../routes/route.ts";
import { commentOf } from "./comments.ts";
import { errorResponses, headers, operationOf } from "./operation.ts";
import type { ApiOutline } from "./outline.ts";
import { pathOfRoute } from "./parameters.ts";
import { Schemas } from "./schemas.ts";

/**
 * Describes routes of the transcoder as an OpenAPI 3.1 document. The descriptors must have comments, see {@link commentOf}. Throws
 * for a template that OpenAPI cannot express, two routes with the same path, and two types with the same name.
 */
export function openApiDocument(routes: readonly CompiledRoute[], outline: ApiOutline): JsonObject {
  const schemas = new Schemas(
    outline.dialect.write ?? { alwaysEmitImplicit: true },
    routes.map(({ method }) => method.output),
  );
  const ids = new Map<string, number>();
  const paths: Record<string, JsonObject> = {};
  for (const route of routes) {
    const { name } = route.method;
    const count = (ids.get(name) ?? 0) + 1;
    ids.set(name, count);
    const operation = operationOf(route, count === 1 ? name : `${name}${count}`, outline, schemas);
    const path = (paths[pathOfRoute(route)] ??= {});
    const httpMethod = route.httpMethod.toLowerCase();
    if (httpMethod === "*" || httpMethod in path) {
      throw new Error(`${route.template.text}: cannot be described`);
    }
    path[httpMethod] = operation;
  }
  const services = new Set(routes.map(({ method }) => method.parent));
  const responses = errorResponses(outline, schemas);
  return {
    openapi: "3.1.0",
    info: { title: outline.title, version: outline.version, description: outline.description },
    servers: [{ url: "/" }],
    tags: [...services].map((service) => ({ name: service.name, description: commentOf(service) })),
    paths,
    components: {
      schemas: schemas.components,
      responses,
      headers,
      securitySchemes: { ...outline.securitySchemes },
    },
  };
}
