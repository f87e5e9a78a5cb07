import {
  type DescEnum,
  type DescField,
  type DescMessage,
  ScalarType,
  create,
  fromJson,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { FieldMaskSchema, isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { type Place, badRequest } from "../errors/failure.ts";
import { type FieldPath, isEmptyMessage } from "../routes/field-path.ts";
import { exactInteger } from "./numbers.ts";
import { ValueError, base64, checkScalar, checkText, enumNumber, float, textForms } from "./scalars.ts";

/** Sets a field from text, or appends to a repeated field. Throws a 400 error that does not repeat the text. */
export function assignText(
  root: ReflectMessage,
  { parents, field }: FieldPath,
  text: string,
  at: { readonly place: Place; readonly name: string },
): void {
  try {
    const message = parents.reduce(childMessage, root);
    const value = readText(field, text);
    if (field.fieldKind === "list") message.get(field).add(value);
    else message.set(field, value);
  } catch (error) {
    // protobuf-es checks ranges (integers, floats, closed enums, times); its error repeats the value.
    throw badRequest(at.place, at.name, error instanceof ValueError ? error.message : "out of range");
  }
}

/** Gets or creates the message in a field. */
function childMessage(parent: ReflectMessage, field: DescField): ReflectMessage {
  if (field.fieldKind !== "message") throw new Error(`${field.toString()} is not a message field`);
  const child = parent.get(field);
  if (!parent.isSet(field)) parent.set(field, child);
  return child;
}

/** Reads a value for the reflection API of protobuf-es. */
function readText(field: DescField, text: string): unknown {
  if (field.message !== undefined) return readMessage(field.message, text);
  return field.enum === undefined ? readScalar(field.scalar, text) : readEnum(field.enum, text);
}

function readEnum(type: DescEnum, text: string): number {
  const number = enumNumber(type, text);
  if (number !== undefined) return number;
  const integer = exactInteger(text);
  if (integer === undefined) throw new ValueError(`expected a value of the enum ${type.name}`);
  return Number(integer);
}

function readMessage(message: DescMessage, text: string): ReflectMessage {
  if (message.typeName === FieldMaskSchema.typeName) return reflect(FieldMaskSchema, readFieldMask(text));
  if (isEmptyMessage(message)) {
    if (text !== "" && text !== "{}") throw new ValueError("expected no value");
    return reflect(message);
  }
  const value = message.fields[0];
  if (isWrapperDesc(message) && value?.fieldKind === "scalar") {
    const wrapper = reflect(message);
    wrapper.set(value, readScalar(value.scalar, text));
    return wrapper;
  }
  const form = textForms.get(message.typeName);
  return reflect(message, fromJson(message, form === undefined ? text : checkText(text, form)));
}

function readScalar(scalar: ScalarType, text: string): unknown {
  switch (scalar) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BOOL:
      return checkScalar(scalar, text === "true" ? true : text === "false" ? false : text);
    case ScalarType.BYTES:
      // An unescaped "+" of a query is a blank.
      return base64Decode(checkText(text.replaceAll(" ", "+"), base64));
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return Number(checkText(text, float));
    default: {
      const integer = exactInteger(text);
      if (integer === undefined) throw new ValueError("expected an integer");
      return is64Bit.has(scalar) ? integer : Number(integer);
    }
  }
}

const is64Bit: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.SINT64,
  ScalarType.SFIXED64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
]);

/** Reads comma-separated paths of proto or JSON names. */
function readFieldMask(text: string) {
  const paths = text === "" ? [] : text.split(",");
  if (!paths.every((path) => /^(?:\*|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)$/.test(path))) {
    throw new ValueError("expected comma-separated field paths");
  }
  const names = paths.map((path) => path.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
  return create(FieldMaskSchema, { paths: names });
}
