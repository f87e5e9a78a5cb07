import type { OutgoingHttpHeaders } from "node:http";

/** Adds what a `Headers` has to headers for Node, each name behind `prefix`. Nothing where there is none. */
export function addHeaders(into: OutgoingHttpHeaders, headers: Headers | undefined, prefix = ""): void {
  // Cookies come one by one, everything else joined.
  headers?.forEach((value, name) => {
    const earlier = into[prefix + name];
    into[prefix + name] = earlier === undefined ? value : [String(earlier), value];
  });
}

/** A header that was sent once; undefined where there is none, or several. */
export function singleHeader(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}
