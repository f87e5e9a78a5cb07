import type { MethodImplSpec, ServiceImplSpec } from "@connectrpc/connect";
import type { HttpRule } from "../../gen/google/api/http_pb.ts";
import type { Dialect } from "./dialect.ts";
import { collectBindings, fullName } from "./routes/http-rules.ts";
import { type CompiledRoute, compileRoute } from "./routes/route.ts";
import { RouteTable } from "./routes/route-table.ts";

/** A service with its implementation and its dialect. */
export interface RoutedService {
  readonly spec: ServiceImplSpec;
  readonly dialect: Dialect;
}

/** A route with the implementation of its method and the dialect of its service. */
export interface ServedRoute extends CompiledRoute {
  readonly spec: MethodImplSpec;
  readonly dialect: Dialect;
}

/** All routes, and the table that finds them. */
export interface Routing {
  readonly table: RouteTable<ServedRoute>;
  readonly routes: readonly ServedRoute[];
}

/**
 * Compiles the rules of all services. Throws an Error that names the method for a faulty rule, for two routes of one HTTP
 * method and shape, and for a template that equals a reserved path or the RPC path of a given service. Wildcards may cover
 * such paths; requests for them never match.
 */
export function buildRoutes(
  services: readonly RoutedService[],
  rules: readonly HttpRule[],
  reservedPaths: readonly string[],
): Routing {
  const byName = new Map(services.map((service) => [service.spec.service.typeName, service]));
  if (byName.size < services.length) throw new Error("a service is given twice");
  const descriptors = services.map(({ spec }) => spec.service);
  const rpcPaths = descriptors.flatMap(({ typeName, methods }) =>
    methods.map(({ name }) => `/${typeName}/${name}`),
  );
  const table = new RouteTable<ServedRoute>([...reservedPaths, ...rpcPaths]);
  const routes = collectBindings(descriptors, rules).map((binding) => {
    try {
      const route = serve(compileRoute(binding), byName);
      table.add(route);
      return route;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${fullName(binding.method)}: ${reason}`, { cause: error });
    }
  });
  return { table, routes };
}

function serve(route: CompiledRoute, services: ReadonlyMap<string, RoutedService>): ServedRoute {
  const service = services.get(route.method.parent.typeName);
  const spec = service?.spec.methods[route.method.localName];
  if (service === undefined || spec === undefined) throw new Error("no implementation is given");
  return { ...route, spec, dialect: service.dialect };
}
