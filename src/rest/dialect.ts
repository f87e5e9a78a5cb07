import type { DescMethod, JsonValue, JsonWriteOptions, Registry } from "@bufbuild/protobuf";
import type { ContextValues } from "@connectrpc/connect";
import type { Failure } from "./errors/failure.ts";

/** What an error writer may know of the request it answers. */
export interface FailedRequest {
  /** The matched method; for 405 the method that the path best matches; `undefined` for 404. */
  readonly method: DescMethod | undefined;
  readonly httpMethod: string;
  /** The path as it came, not decoded. It may hold a secret: not for logs. */
  readonly path: string;
  readonly header: Headers;
  readonly contextValues: ContextValues;
}

/** The body of an error answer; the content type is a default that `headers` may override. */
export type ErrorBody = { readonly json: JsonValue } | { readonly text: string };

/** An error answer as a dialect wants it. */
export interface ErrorAnswer {
  readonly status: number;
  /** Added to those of the handler, the error's metadata, `Allow` and `Retry-After`; a name in both is replaced. */
  readonly headers?: Readonly<Record<string, string>>;
  /** None for an answer without a body. */
  readonly body?: ErrorBody;
}

/**
 * How one API speaks JSON over HTTP. Everything has a default; several services may share one dialect object.
 */
export interface Dialect {
  /** Path prefixes under which unmatched requests (404, 405) are answered in this dialect; whole segments, longest first. */
  readonly prefixes?: readonly string[];
  /** Writes errors; google.rpc.Status by default. If it throws, the answer is a plain 500 of the default. */
  readonly writeError?: (failure: Failure, request: FailedRequest) => ErrorAnswer;
  /** How answers are written; by default with fields that have their default value. */
  readonly write?: Partial<JsonWriteOptions>;
  /** Types that may stand in a google.protobuf.Any of a request. */
  readonly registry?: Registry;
  /** "refuse" by default: a mistyped filter must not widen a call. */
  readonly unknownQueryParameters?: "refuse" | "ignore";
  /** "refuse" by default. Unknown names of enum values are refused either way. */
  readonly unknownMembers?: "refuse" | "ignore";
  /** A body on a route without a body rule: ignored by default; "json" refuses one that is too large or not JSON. */
  readonly bodyWithoutRule?: "ignore" | "json";
  /** `WWW-Authenticate` of a 401 that has none of its own; "Bearer" by default. */
  readonly challenge?: string;
}

/** The dialect of services that name none. */
export const defaultDialect: Dialect = {};

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
