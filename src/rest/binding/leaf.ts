import type { DescEnum, DescField, DescMessage, ScalarType } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";

/** A type that fits into one piece of text, so that a path segment or a query parameter can hold it. */
export type Leaf =
  | { readonly kind: "scalar"; readonly scalar: ScalarType }
  | { readonly kind: "enum"; readonly enum: DescEnum }
  | { readonly kind: "wrapper"; readonly message: DescMessage; readonly value: DescField }
  | { readonly kind: "timestamp" | "duration" | "field_mask"; readonly message: DescMessage };

/** The leaf type of a field, or of the elements of a repeated field; `undefined` for maps and other messages. */
export function leafOf(field: DescField): Leaf | undefined {
  switch (field.fieldKind) {
    case "scalar":
      return { kind: "scalar", scalar: field.scalar };
    case "enum":
      return { kind: "enum", enum: field.enum };
    case "message":
      return messageLeaf(field.message);
    case "map":
      return undefined;
    case "list":
      switch (field.listKind) {
        case "scalar":
          return { kind: "scalar", scalar: field.scalar };
        case "enum":
          return { kind: "enum", enum: field.enum };
        case "message":
          return messageLeaf(field.message);
      }
  }
}

function messageLeaf(message: DescMessage): Leaf | undefined {
  switch (message.typeName) {
    case "google.protobuf.Timestamp":
      return { kind: "timestamp", message };
    case "google.protobuf.Duration":
      return { kind: "duration", message };
    case "google.protobuf.FieldMask":
      return { kind: "field_mask", message };
  }
  const value = message.fields[0];
  return isWrapperDesc(message) && value !== undefined ? { kind: "wrapper", message, value } : undefined;
}
