import type { DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";
import { badRequest } from "../errors/failure.ts";
import { type FieldPath, assignText, reach, resolveFieldPath } from "./field-path.ts";
import { percentDecode } from "./percent.ts";
import { shownName } from "../errors/shown-name.ts";

/** One decoded parameter of a query string. */
export interface QueryParameter {
  readonly name: string;
  readonly value: string;
}

/** Splits a raw query string. `+` is a blank. Throws a 400 refusal for a malformed escape, invalid UTF-8 or NUL. */
export function parseQuery(raw: string): QueryParameter[] {
  const parameters: QueryParameter[] = [];
  for (const piece of raw.split("&")) {
    if (piece === "") continue;
    const equals = piece.indexOf("=");
    const name = decode(equals < 0 ? piece : piece.slice(0, equals));
    const value = decode(equals < 0 ? "" : piece.slice(equals + 1));
    if (name === undefined) {
      throw badRequest("query", undefined, "a name is not percent-encoded UTF-8 without NUL");
    }
    if (value === undefined) {
      throw badRequest("query", shownName(name), "the value is not percent-encoded UTF-8 without NUL");
    }
    parameters.push({ name, value });
  }
  return parameters;
}

function decode(text: string): string | undefined {
  return percentDecode(text.replaceAll("+", " "));
}

/** How a query binds: what is not for it, and what becomes of names it does not know. */
export interface QueryRules {
  /** False where the body is the whole message: then no parameter binds. */
  readonly isOpen: boolean;
  /** Whether the path or the body has already said what this field is; they win. */
  readonly isClaimed: (path: readonly DescField[]) => boolean;
  readonly unknown: "refuse" | "ignore";
}

/**
 * Binds query parameters to fields of `root`. Refused with 400: an unknown parameter (unless ignored), a field that
 * text cannot fill, a singular field twice under any spelling, and a second member of a oneof, wherever the first came
 * from: a parameter that silently had no effect could widen what a call does. Only what the path or the body says too
 * is passed over, for there the caller's word is not lost.
 */
export function bindQuery(
  root: ReflectMessage,
  parameters: readonly QueryParameter[],
  rules: QueryRules,
): void {
  const seen = new Set<string>();
  for (const { name, value } of parameters) {
    const path = resolve(root.desc, name, rules);
    if (path === undefined) continue;
    const key = path.fields.map((field) => field.name).join(".");
    if (seen.has(key) && path.field.fieldKind !== "list") {
      throw badRequest("query", name, "given more than once");
    }
    seen.add(key);
    refuseSecondMember(root, path, name);
    const reason = assignText(reach(root, path.parents), path, value);
    if (reason !== undefined) throw badRequest("query", name, reason);
  }
}

/** The field a parameter shall fill; `undefined` for one to pass over. */
function resolve(message: DescMessage, name: string, rules: QueryRules): FieldPath | undefined {
  const path = resolveFieldPath(message, name, "proto_or_json");
  if ("kind" in path) {
    if (path.kind === "unknown" && rules.unknown === "ignore") return undefined;
    const reason = path.kind === "unknown" ? "unknown parameter" : path.reason;
    throw badRequest("query", shownName(name), reason);
  }
  if (rules.isClaimed(path.fields)) return undefined;
  if (rules.isOpen) return path;
  if (rules.unknown === "ignore") return undefined;
  throw badRequest("query", shownName(name), "no query parameters here, the body is the whole message");
}

function refuseSecondMember(root: ReflectMessage, path: FieldPath, name: string): void {
  let message = root;
  for (const field of path.fields) {
    const other = otherMember(message, field.oneof, field);
    if (other !== undefined) {
      throw badRequest("query", name, `excludes "${other.name}", which is given too`);
    }
    if (field === path.field || field.fieldKind !== "message" || !message.isSet(field)) return;
    message = message.get(field);
  }
}

function otherMember(
  message: ReflectMessage,
  oneof: DescOneof | undefined,
  field: DescField,
): DescField | undefined {
  const member = oneof === undefined ? undefined : message.oneofCase(oneof);
  return member === field ? undefined : member;
}
