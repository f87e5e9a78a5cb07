import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";

/** A dotted path through singular messages to a field that text can fill; the last may be repeated. */
export interface FieldPath {
  readonly parents: readonly DescField[];
  readonly field: DescField;
  /** The parents and the field. */
  readonly fields: readonly DescField[];
}

export interface FieldPathError {
  readonly kind: "unknown" | "unfit";
  readonly reason: string;
}

/** Resolves a dotted name. Path templates allow proto names only, query parameters also JSON names. */
export function resolveFieldPath(
  message: DescMessage,
  path: string,
  style: "proto" | "proto_or_json",
): FieldPath | FieldPathError {
  const parents: DescField[] = [];
  const names = path.split(".");
  const last = names.pop() ?? "";
  let current = message;
  for (const name of names) {
    const field = findField(current, name, style);
    if (field === undefined) return unknownField(current, name);
    if (field.fieldKind !== "message" || hasTextForm(field)) {
      return { kind: "unfit", reason: `"${name}" is ${describe(field)}, and a path cannot lead through it` };
    }
    parents.push(field);
    current = field.message;
  }
  const field = findField(current, last, style);
  if (field === undefined) return unknownField(current, last);
  return hasTextForm(field)
    ? { parents, field, fields: [...parents, field] }
    : { kind: "unfit", reason: `"${last}" is ${describe(field)}, which has no form as text` };
}

/** Finds a field by its proto name or, in that style, by its JSON name. */
export function findField(
  message: DescMessage,
  name: string,
  style: "proto" | "proto_or_json",
): DescField | undefined {
  return (
    message.fields.find((field) => field.name === name) ??
    (style === "proto" ? undefined : message.fields.find((field) => field.jsonName === name))
  );
}

function unknownField(message: DescMessage, name: string): FieldPathError {
  return { kind: "unknown", reason: `${message.typeName} has no field "${name}"` };
}

const textTypes: ReadonlySet<string> = new Set([
  "google.protobuf.Timestamp",
  "google.protobuf.Duration",
  "google.protobuf.FieldMask",
]);

/** Whether one piece of text can hold a value of the field or an element of the repeated field. */
function hasTextForm(field: DescField): boolean {
  if (field.fieldKind === "map") return false;
  const { message } = field;
  return (
    message === undefined ||
    textTypes.has(message.typeName) ||
    isWrapperDesc(message) ||
    isEmptyMessage(message)
  );
}

/** Whether a message has no fields, so that only its presence says something. */
export function isEmptyMessage(message: DescMessage): boolean {
  return message.fields.length === 0;
}

function describe(field: DescField): string {
  if (field.fieldKind === "message") return `a ${field.message.typeName}`;
  return { scalar: "a scalar", enum: "an enum", list: "repeated", map: "a map" }[field.fieldKind];
}
