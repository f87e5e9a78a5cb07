import type { MethodImplSpec, ServiceImplSpec } from "@connectrpc/connect";
import type { HttpRule } from "../../gen/google/api/http_pb.ts";
import type { Dialect } from "./dialect.ts";
import { collectBindings, fullName } from "./routes/http-rules.ts";
import { type CompiledRoute, compileRoute } from "./routes/route.ts";
import { RouteTable } from "./routes/route-table.ts";

/** A service to serve over REST. */
export interface TranscodedService {
  readonly spec: ServiceImplSpec;
  readonly dialect?: Dialect | undefined;
}

/** A route with the implementation of its method and the dialect of its service. */
export interface ServedRoute extends CompiledRoute {
  readonly spec: MethodImplSpec;
  readonly dialect: Dialect;
}

/**
 * Compiles the rules of all services. Throws an Error that names the method for an invalid rule, for two routes of one HTTP method
 * and shape, and for a template that equals a reserved path or the RPC path of a service. Wildcards may cover such paths, but do
 * not match them.
 */
export function buildRoutes(
  services: readonly TranscodedService[],
  rules: readonly HttpRule[],
  reservedPaths: readonly string[],
): { table: RouteTable<ServedRoute>; routes: readonly ServedRoute[] } {
  const byName = new Map(services.map((service) => [service.spec.service.typeName, service]));
  if (byName.size < services.length) throw new Error("a service is given twice");
  const descriptors = services.map(({ spec }) => spec.service);
  const rpcPaths = descriptors.flatMap(({ typeName, methods }) =>
    methods.map(({ name }) => `/${typeName}/${name}`),
  );
  const table = new RouteTable<ServedRoute>([...reservedPaths, ...rpcPaths]);
  const routes = collectBindings(descriptors, rules).map((binding) => {
    try {
      const compiled = compileRoute(binding);
      const { spec, dialect = {} } = byName.get(binding.method.parent.typeName) ?? {};
      const method = spec?.methods[binding.method.localName];
      if (method === undefined) throw new Error("no implementation is given");
      const route = { ...compiled, spec: method, dialect };
      table.add(route);
      return route;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${fullName(binding.method)}: ${reason}`, { cause: error });
    }
  });
  return { table, routes };
}
