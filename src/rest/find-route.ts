import type { DescMethod } from "@bufbuild/protobuf";
import type { ServedRoute } from "./build-routes.ts";
import type { Dialect } from "./dialect.ts";
import type { Match, RouteTable } from "./routes/route-table.ts";

/** What answers a request: a method, or an error. The dialect writes the errors. */
export type Destination =
  | { readonly method: DescMethod; readonly dialect: Dialect | undefined }
  /** `allow` has the HTTP methods of the path; none if it is unknown. */
  | {
      readonly method: undefined;
      readonly allow: readonly string[];
      readonly dialect: Dialect | undefined;
    };

/** HEAD is answered wherever GET is, unless a rule takes it (RFC 9110, 9.1). */
export function matchRoute(
  table: RouteTable<ServedRoute>,
  httpMethod: string,
  path: string,
): Match<ServedRoute> {
  const match = table.match(httpMethod, path);
  if (match.kind !== "method_not_allowed" || !match.allow.includes("GET")) return match;
  if (httpMethod === "HEAD") return table.match("GET", path);
  return { ...match, allow: [...new Set([...match.allow, "HEAD"])].sort() };
}

/** The dialect that answers a match: that of the route, for an error first that of the path. */
export function dialectOf(
  match: Match<ServedRoute>,
  path: string,
  dialectByPath: (path: string) => Dialect | undefined,
): Dialect | undefined {
  if (match.kind === "found") return match.route.dialect;
  return dialectByPath(path) ?? (match.kind === "method_not_allowed" ? match.nearest.dialect : undefined);
}
