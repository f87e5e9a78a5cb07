import type { Template } from "./template.ts";

export interface TableEntry {
  readonly httpMethod: string;
  readonly template: Template;
}

export type Match<R> =
  | { readonly kind: "found"; readonly route: R; readonly segments: readonly string[] }
  /** The path is served with other methods; `nearest` is its most specific route. */
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
 * Finds routes by the raw segments of a path. At each position a literal beats `*`, which beats `**`, with backtracking if the
 * better branch has no route for the HTTP method. Each node is visited at most once, so that the size of the table bounds a
 * search. Reserved paths never match.
 */
export class RouteTable<R extends TableEntry> {
  readonly #root = newNode<R>();
  readonly #reserved: ReadonlySet<string>;

  constructor(reservedPaths: readonly string[] = []) {
    this.#reserved = new Set(reservedPaths);
  }

  /** Throws for a reserved path, and if the table has a route of the same method and shape. */
  add(route: R): void {
    const { segments, verb, text } = route.template;
    if (this.#reserved.has(text)) throw new Error(`${route.httpMethod} ${text} is the reserved path ${text}`);
    let node = this.#root;
    for (const segment of segments) {
      if (segment.kind === "literal") node = getOrInsert(node.literals, segment.text, newNode<R>);
      else if (segment.kind === "any") node = node.any ??= newNode();
    }
    const isRest = segments.at(-1)?.kind === "rest";
    const methods = getOrInsert(isRest ? node.rests : node.ends, verb ?? noVerb, () => new Map<string, R>());
    const taken = methods.get(route.httpMethod);
    if (taken !== undefined) {
      const other = `${taken.httpMethod} ${taken.template.text}`;
      throw new Error(`${route.httpMethod} ${text} has the same shape as ${other}`);
    }
    methods.set(route.httpMethod, route);
  }

  /** Matches a path that is neither decoded nor normalized: `.`, `..` and `%2F` are data. */
  match(httpMethod: string, rawPath: string): Match<R> {
    if (!rawPath.startsWith("/") || this.#reserved.has(rawPath)) return { kind: "not_found" };
    const segments = rawPath.slice(1).split("/");
    const verbed = splitVerb(segments);
    // If some template has this verb here, it is a verb for every method; otherwise it is part of the segment.
    if (verbed !== undefined) {
      const match = this.#search(httpMethod, verbed.segments, verbed.verb);
      if (match.kind !== "not_found") return match;
    }
    return this.#search(httpMethod, segments, noVerb);
  }

  #search(httpMethod: string, segments: readonly string[], verb: string): Match<R> {
    const pick = (methods: Methods<R>) => methods.get(httpMethod) ?? methods.get(anyMethod);
    const route = find(this.#root, segments, verb, pick);
    if (route !== undefined) return { kind: "found", route, segments };
    // Collects the methods of the path for `Allow`.
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

/** Calls `pick` with the methods of each matching shape, the most specific first, until it returns a route. */
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
