import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { reservedClaims } from "../../jwt/claims.ts";

/** Longest JSON of the custom claims, in bytes. */
export const maxClaimsBytes = 4096;

/**
 * Deepest nesting of the custom claims; an object without objects or arrays inside has one level. A level takes up to three
 * levels of a binary message (Struct, map entry, Value), and clients decode at most 100: C++, Java, Python and protobuf-es alike.
 * 30 leave room for the messages around the claims.
 */
export const maxClaimsDepth = 30;

/** Describes the first problem of custom claims, without repeating a value; undefined if they have none. */
export function problemOfClaims(claims: JsonObject): string | undefined {
  const clash = Object.keys(claims).find((name) => reservedClaims.has(name));
  if (clash !== undefined) return `must not have the key ${clash}, which the JWT itself uses`;
  const problem = problemOf(claims, maxClaimsDepth);
  if (problem !== undefined) return problem;
  const text = JSON.stringify(claims);
  if (Buffer.byteLength(text) > maxClaimsBytes) return `must have at most ${maxClaimsBytes} bytes as JSON`;
  return unstorableInJson.test(text) ? "must hold valid Unicode without NUL" : undefined;
}

/** NUL and unpaired surrogates as JSON.stringify escapes them. */
const unstorableInJson = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89ab][0-9a-f]{2}|d[c-f][0-9a-f]{2})/;

/** `levels` is how many levels of nesting are left. */
function problemOf(value: JsonValue, levels: number): string | undefined {
  if (typeof value === "number") {
    // In binary a Struct may hold NaN and Infinity, which JSON cannot.
    return Number.isFinite(value) ? undefined : "must hold finite numbers only";
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (levels === 0) return `must be nested at most ${maxClaimsDepth} levels deep`;
  for (const member of Object.values(value)) {
    const problem = problemOf(member, levels - 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
