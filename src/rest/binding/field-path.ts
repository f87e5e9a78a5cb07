import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { ReflectList, ReflectMessage } from "@bufbuild/protobuf/reflect";
import { type Leaf, leafOf } from "./leaf.ts";
import { readLeaf } from "./leaf-text.ts";

/** A dotted path through singular messages to a field that text can fill; the last may be repeated. */
export interface FieldPath {
  readonly parents: readonly DescField[];
  readonly field: DescField;
  /** The parents and the field. */
  readonly fields: readonly DescField[];
  readonly leaf: Leaf;
}

/** Why a name does not lead to a field that text can fill. */
export type FieldPathError =
  | { readonly kind: "unknown"; readonly reason: string }
  | { readonly kind: "unfit"; readonly reason: string };

/** How names are looked up: templates use proto names, query parameters both. */
export type NameStyle = "proto" | "proto_or_json";

/** Resolves dotted names from `message` on. */
export function resolveFieldPath(
  message: DescMessage,
  path: string,
  style: NameStyle,
): FieldPath | FieldPathError {
  const names = path.split(".");
  const parents: DescField[] = [];
  let current = message;
  for (const [index, name] of names.entries()) {
    const field = findField(current, name, style);
    if (field === undefined) {
      return { kind: "unknown", reason: `${current.typeName} has no field "${name}"` };
    }
    const leaf = leafOf(field);
    if (index === names.length - 1) {
      return leaf === undefined
        ? { kind: "unfit", reason: `"${name}" is ${describe(field)}, which has no form as text` }
        : { parents, field, fields: [...parents, field], leaf };
    }
    if (field.fieldKind !== "message" || leaf !== undefined) {
      return { kind: "unfit", reason: `"${name}" is ${describe(field)}, and a path cannot lead through it` };
    }
    parents.push(field);
    current = field.message;
  }
  return { kind: "unknown", reason: "the path is empty" };
}

function findField(message: DescMessage, name: string, style: NameStyle): DescField | undefined {
  return (
    message.fields.find((field) => field.name === name) ??
    (style === "proto" ? undefined : message.fields.find((field) => field.jsonName === name))
  );
}

function describe(field: DescField): string {
  switch (field.fieldKind) {
    case "scalar":
      return "a scalar";
    case "enum":
      return "an enum";
    case "message":
      return `a ${field.message.typeName}`;
    case "list":
      return "repeated";
    case "map":
      return "a map";
  }
}

/** Gives the message that holds the last field, making those on the way. */
export function reach(root: ReflectMessage, parents: readonly DescField[]): ReflectMessage {
  let message = root;
  for (const field of parents) {
    if (field.fieldKind !== "message") {
      throw new Error(`${field.toString()} is not a message field`);
    }
    const child = message.get(field);
    if (!message.isSet(field)) message.set(field, child);
    message = child;
  }
  return message;
}

/**
 * Reads `text` as the last field's type and puts it into `message`, appending to a repeated field. Gives a reason when
 * it does not fit; the reason does not repeat the text.
 */
export function assignText(message: ReflectMessage, path: FieldPath, text: string): string | undefined {
  try {
    const read = readLeaf(path.leaf, text);
    if ("expected" in read) {
      return `expected ${read.expected}`;
    }
    if (path.field.fieldKind === "list") {
      const list: ReflectList = message.get(path.field);
      list.add(read.value);
    } else {
      message.set(path.field, read.value);
    }
    return undefined;
  } catch {
    // protobuf-es checks ranges (of integers, floats, closed enums, times) and repeats the value in its message.
    return "out of range";
  }
}
