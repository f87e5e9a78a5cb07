import type { Template } from "./template.ts";

/** What the table needs to know of a route; `httpMethod` "*" takes any method. */
export interface TableEntry {
  readonly httpMethod: string;
  readonly template: Template;
}

/** The answer of {@link RouteTable.match}. */
export type Match<R> =
  | { readonly kind: "found"; readonly route: R; readonly segments: readonly string[] }
  /** The path is served, but not with this method; `nearest` is the most specific route of the path. */
  | { readonly kind: "method_not_allowed"; readonly allow: readonly string[]; readonly nearest: R }
  | { readonly kind: "not_found" };

type Methods<R> = Map<string, R>;

interface Node<R> {
  readonly literals: Map<string, Node<R>>;
  any: Node<R> | undefined;
  /** Routes that end here, by verb ("" for none). */
  readonly ends: Map<string, Methods<R>>;
  /** Routes whose `**` begins here, by verb. */
  readonly rests: Map<string, Methods<R>>;
}

const noVerb = "";
const anyMethod = "*";

/**
 * Routes by the raw segments of a path. At each position a literal beats `*`, which beats `**`; when the better branch
 * leads nowhere for the method at hand, the next is tried. Every node is visited at most once, so a hostile path costs
 * no more than the size of the table.
 */
export class RouteTable<R extends TableEntry> {
  readonly #root = newNode<R>();

  /** Adds a route. Throws when a route of the same method and shape is there already; variable names do not matter. */
  add(route: R): void {
    const { segments, verb } = route.template;
    let node: Node<R> = this.#root;
    let isRest = false;
    for (const segment of segments) {
      switch (segment.kind) {
        case "literal":
          node = getOrInsert(node.literals, segment.text, newNode<R>);
          break;
        case "any":
          node = node.any ??= newNode();
          break;
        case "rest":
          isRest = true;
          break;
      }
    }
    const methods = getOrInsert(isRest ? node.rests : node.ends, verb ?? noVerb, () => new Map<string, R>());
    const taken = methods.get(route.httpMethod);
    if (taken !== undefined) {
      throw new Error(
        `${route.httpMethod} ${route.template.text} has the same shape as ${taken.httpMethod} ${taken.template.text}`,
      );
    }
    methods.set(route.httpMethod, route);
  }

  /** Finds the route of a raw path, not decoded and not normalised: `.`, `..` and `%2F` are data. */
  match(httpMethod: string, rawPath: string): Match<R> {
    if (!rawPath.startsWith("/")) {
      return { kind: "not_found" };
    }
    const segments = rawPath.slice(1).split("/");
    const verbed = splitVerb(segments);
    // A verb that some template has at this place is a verb for every method; only otherwise is it part of the segment.
    if (verbed !== undefined) {
      const match = this.#search(httpMethod, verbed.segments, verbed.verb);
      if (match.kind !== "not_found") return match;
    }
    return this.#search(httpMethod, segments, noVerb);
  }

  #search(httpMethod: string, segments: readonly string[], verb: string): Match<R> {
    const route = find(
      this.#root,
      segments,
      verb,
      (methods) => methods.get(httpMethod) ?? methods.get(anyMethod),
    );
    if (route !== undefined) {
      return { kind: "found", route, segments };
    }
    // Only now does it matter which methods the path has.
    const allow = new Set<string>();
    let nearest: R | undefined;
    find(this.#root, segments, verb, (methods) => {
      for (const [method, route] of methods) {
        nearest ??= route;
        allow.add(method);
      }
      return undefined;
    });
    return nearest === undefined
      ? { kind: "not_found" }
      : { kind: "method_not_allowed", allow: [...allow].sort(), nearest };
  }
}

/** Offers `pick` the methods of every shape that the path has, the most specific first, until it takes a route. */
function find<R>(
  node: Node<R>,
  segments: readonly string[],
  verb: string,
  pick: (methods: Methods<R>) => R | undefined,
  index = 0,
): R | undefined {
  const segment = segments[index];
  let route: R | undefined;
  if (segment === undefined) {
    const methods = node.ends.get(verb);
    route = methods && pick(methods);
  } else {
    const literal = node.literals.get(segment);
    route = literal && find(literal, segments, verb, pick, index + 1);
    if (route === undefined && node.any !== undefined && segment !== "") {
      route = find(node.any, segments, verb, pick, index + 1);
    }
  }
  if (route !== undefined) return route;
  const methods = node.rests.get(verb);
  return methods && pick(methods);
}

function splitVerb(segments: readonly string[]): { segments: string[]; verb: string } | undefined {
  const last = segments.at(-1) ?? "";
  const colon = last.lastIndexOf(":");
  const verb = last.slice(colon + 1);
  return colon < 0 || verb === ""
    ? undefined
    : { segments: [...segments.slice(0, -1), last.slice(0, colon)], verb };
}

function newNode<R>(): Node<R> {
  return { literals: new Map(), any: undefined, ends: new Map(), rests: new Map() };
}

function getOrInsert<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
