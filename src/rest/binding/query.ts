import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";
import { badRequest, shownName } from "../errors/failure.ts";
import { type FieldPath, resolveFieldPath } from "../routes/field-path.ts";
import { percentDecode } from "./percent.ts";
import { assignText } from "./text-value.ts";

export interface QueryParameter {
  readonly name: string;
  readonly value: string;
}

/** Splits a query string. `+` is a blank. Throws a 400 error for a malformed escape, invalid UTF-8 or NUL. */
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

export interface QueryRules {
  /** False if the body is the whole message, so that no parameter binds. */
  readonly isOpen: boolean;
  /** Whether the path or the body sets this field; they win. */
  readonly isClaimed: (path: readonly DescField[]) => boolean;
  readonly unknown: "refuse" | "ignore";
}

/**
 * Sets fields of `root` from query parameters. Skips fields that the path or the body sets. Throws 400 errors for unknown
 * parameters (unless ignored), fields without a form as text, a singular field twice under any name, and a second member of a
 * oneof, because a parameter without effect could widen the call.
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
    assignText(root, path, value, { place: "query", name });
  }
}

/** Finds the field of a parameter; undefined to skip it. */
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
    const member = field.oneof && message.oneofCase(field.oneof);
    if (member !== undefined && member !== field) {
      throw badRequest("query", name, `excludes "${member.name}", which is given too`);
    }
    if (field === path.field || field.fieldKind !== "message" || !message.isSet(field)) return;
    message = message.get(field);
  }
}
