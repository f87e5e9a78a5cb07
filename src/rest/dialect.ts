import type { DescMethod, JsonValue, JsonWriteOptions, Registry } from "@bufbuild/protobuf";
import type { ContextValues } from "@connectrpc/connect";
import type { Failure } from "./errors/failure.ts";

/** The request that an error answers. */
export interface FailedRequest {
  /** The matched method; for 405 that of the route that fits the path best; undefined for 404. */
  readonly method: DescMethod | undefined;
  readonly httpMethod: string;
  /** Path as sent, not decoded. It may contain a secret, so do not log it. */
  readonly path: string;
  readonly header: Headers;
  readonly contextValues: ContextValues;
}

/** The body of an error answer; the content type is a default that `headers` may override. */
export type ErrorBody = { readonly json: JsonValue } | { readonly text: string };

export interface ErrorAnswer {
  readonly status: number;
  /** Replace headers of the same name that come from the handler, the error's metadata, `Allow` and `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: ErrorBody;
}

/** JSON over HTTP of one API. Several services may share a dialect. */
export interface Dialect {
  /** Path prefixes, in whole segments, under which 404 and 405 are answered in this dialect. The longest one wins. */
  readonly prefixes?: readonly string[];
  /** Writes errors; google.rpc.Status by default. If it throws, the answer is a plain 500 of the default. */
  readonly writeError?: (failure: Failure, request: FailedRequest) => ErrorAnswer;
  /** Headers of errors' metadata, in lower case, that this API does not send; none by default. */
  readonly withheldHeaders?: readonly string[];
  /** JSON options of answers; by default fields with default values are written. */
  readonly write?: Partial<JsonWriteOptions>;
  /** Types that a google.protobuf.Any of a request may hold. */
  readonly registry?: Registry;
  /** "refuse" by default, because a mistyped filter must not widen a call. */
  readonly unknownQueryParameters?: "refuse" | "ignore";
  /** "refuse" by default. Unknown names of enum values are refused either way. */
  readonly unknownMembers?: "refuse" | "ignore";
  /** A body on a route without a body rule: ignored by default; "json" refuses one that is too large or not JSON. */
  readonly bodyWithoutRule?: "ignore" | "json";
  /** `WWW-Authenticate` of a 401 that has none of its own; "Bearer" by default. */
  readonly challenge?: string;
}

/** Finds the dialect that answers for a path no route matches. */
export function dialectByPrefix(dialects: readonly Dialect[]): (path: string) => Dialect | undefined {
  const prefixes = [...new Set(dialects)]
    .flatMap((dialect) =>
      (dialect.prefixes ?? []).map((prefix) => ({ prefix: prefix.replace(/\/+$/, ""), dialect })),
    )
    .sort((a, b) => b.prefix.length - a.prefix.length);
  return (path) =>
    prefixes.find(
      ({ prefix }) => path === prefix || path.startsWith(`${prefix}/`) || path.startsWith(`${prefix}:`),
    )?.dialect;
}
