import type { MethodImplSpec, ServiceImplSpec } from "@connectrpc/connect";
import type { HttpRule } from "../../gen/google/api/http_pb.ts";
import type { Dialect } from "./dialect.ts";
import { type CompiledRoute, compileRoute } from "./routes/route.ts";
import { RouteTable } from "./routes/route-table.ts";
import { collectBindings, fullName } from "./routes/http-rules.ts";

/** A route with the implementation behind it and the dialect it speaks. */
export interface ServedRoute extends CompiledRoute {
  readonly spec: MethodImplSpec;
  readonly dialect: Dialect;
}

/** What {@link buildRoutes} is given for each service. */
export interface RoutedService {
  readonly spec: ServiceImplSpec;
  readonly dialect: Dialect;
}

/** All routes, and the table that finds them. */
export interface Routing {
  readonly table: RouteTable<ServedRoute>;
  readonly routes: readonly ServedRoute[];
}

/**
 * Compiles the rules of all services. Throws an Error that names the method for a faulty rule, two routes of one
 * method and shape, and a route that a reserved path (or the RPC path of a given service) would fall into.
 */
export function buildRoutes(
  services: readonly RoutedService[],
  rules: readonly HttpRule[],
  reservedPaths: readonly string[],
): Routing {
  const byName = new Map<string, RoutedService>();
  for (const service of services) {
    if (byName.has(service.spec.service.typeName)) {
      throw new Error(`the service ${service.spec.service.typeName} is given twice`);
    }
    byName.set(service.spec.service.typeName, service);
  }
  const descriptors = services.map(({ spec }) => spec.service);
  const routes = collectBindings(descriptors, rules).map((binding) => serve(compileRoute(binding), byName));
  const table = new RouteTable<ServedRoute>();
  for (const route of routes) {
    try {
      table.add(route);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${fullName(route.method)}: ${reason}`, { cause: error });
    }
  }
  const rpcPaths = descriptors.flatMap(({ typeName, methods }) =>
    methods.map(({ name }) => `/${typeName}/${name}`),
  );
  for (const path of [...reservedPaths, ...rpcPaths]) refuseCollision(table, path);
  return { table, routes };
}

function serve(route: CompiledRoute, services: ReadonlyMap<string, RoutedService>): ServedRoute {
  const service = services.get(route.method.parent.typeName);
  const spec = service?.spec.methods[route.method.localName];
  if (service === undefined || spec === undefined) {
    throw new Error(`${fullName(route.method)}: no implementation is given`);
  }
  return { ...route, spec, dialect: service.dialect };
}

function refuseCollision(table: RouteTable<ServedRoute>, path: string): void {
  const match = table.match("POST", path);
  if (match.kind === "not_found") return;
  const route = match.kind === "found" ? match.route : match.nearest;
  throw new Error(
    `${fullName(route.method)}: ${route.httpMethod} ${route.template.text} would take the reserved path ${path}`,
  );
}
