import { ScalarType, create, fromJson } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { base64Decode } from "@bufbuild/protobuf/wire";
import type { Leaf } from "./leaf.ts";
import { isBase64, isDuration, isFloat, isInteger, isTimestamp } from "./text-form.ts";

/** Either what the reflection API of protobuf-es takes for the field, or what would have been right. */
export type LeafValue = { readonly value: unknown } | { readonly expected: string };

/**
 * Reads the text of a path segment or query parameter. Ranges of integers are left to the assignment, which checks
 * them anyway. An answer never repeats the text, which may be a secret.
 */
export function readLeaf(leaf: Leaf, text: string): LeafValue {
  switch (leaf.kind) {
    case "scalar":
      return readScalar(leaf.scalar, text);
    case "enum": {
      const named = leaf.enum.values.find((value) => value.name === text || value.jsonName === text);
      if (named !== undefined) {
        return { value: named.number };
      }
      return isInteger(text)
        ? { value: Number(text) }
        : { expected: `a value of the enum ${leaf.enum.name}` };
    }
    case "wrapper": {
      if (leaf.value.fieldKind !== "scalar") {
        return { expected: "another field" };
      }
      const inner = readScalar(leaf.value.scalar, text);
      if ("expected" in inner) return inner;
      const message = reflect(leaf.message);
      message.set(leaf.value, inner.value);
      return { value: message };
    }
    case "timestamp":
      return isTimestamp(text)
        ? { value: reflect(leaf.message, fromJson(leaf.message, text)) }
        : { expected: "a time as RFC 3339 writes it" };
    case "duration":
      return isDuration(text)
        ? { value: reflect(leaf.message, fromJson(leaf.message, text)) }
        : { expected: `seconds with an "s", like 1.5s` };
    case "field_mask":
      return readFieldMask(text);
  }
}

function readScalar(scalar: ScalarType, text: string): LeafValue {
  switch (scalar) {
    case ScalarType.STRING:
      return { value: text };
    case ScalarType.BOOL:
      return text === "true" || text === "false" ? { value: text === "true" } : { expected: "true or false" };
    case ScalarType.BYTES: {
      // An unescaped "+" of the standard alphabet arrives as a blank, which base64 does not have.
      const base64 = text.replaceAll(" ", "+");
      return isBase64(base64) ? { value: base64Decode(base64) } : { expected: "base64" };
    }
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE: {
      const isNumber = isFloat(text) && (Number.isFinite(Number(text)) || /^-?[IN]/.test(text));
      return isNumber ? { value: Number(text) } : { expected: "a number" };
    }
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return isInteger(text) ? { value: Number(text) } : { expected: "an integer" };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return isInteger(text) ? { value: BigInt(text) } : { expected: "an integer" };
  }
}

/** Comma-separated paths. Outside JSON both spellings are in use, so proto names are taken as well as JSON names. */
function readFieldMask(text: string): LeafValue {
  const paths = text === "" ? [] : text.split(",");
  if (!paths.every((path) => /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*$/.test(path))) {
    return { expected: "comma-separated field paths" };
  }
  const names = paths.map((path) => path.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
  return { value: reflect(FieldMaskSchema, create(FieldMaskSchema, { paths: names })) };
}
