import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescOneof,
  type JsonObject,
  type JsonWriteOptions,
  ScalarType,
  getOption,
  hasOption,
} from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence, isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { FieldBehavior, field_behavior } from "../../../gen/google/api/field_behavior_pb.ts";
import { commentOf } from "./comments.ts";

/** Requests state what a caller must send, answers what a caller can rely on. */
export type Direction = "request" | "answer";

/**
 * The JSON schemas of messages and enums, in the form of ProtoJSON with these options. A message that occurs in both directions
 * has a schema for each: in answers fields with default values are present, in requests they may be left out.
 */
export class Schemas {
  readonly components: Record<string, JsonObject> = {};
  readonly #write: Partial<JsonWriteOptions>;
  readonly #answered: ReadonlySet<string>;
  readonly #owners = new Map<string, string>();

  /** `answers`: the messages that answers consist of. */
  constructor(write: Partial<JsonWriteOptions>, answers: readonly DescMessage[]) {
    this.#write = write;
    this.#answered = reachable(answers);
  }

  /** Name of a field in JSON. */
  nameOf(field: DescField): string {
    return this.#write.useProtoFieldName === true ? field.name : field.jsonName;
  }

  /** The schema of a message: in place for a well-known type, otherwise a reference. */
  message(message: DescMessage, direction: Direction): JsonObject {
    const known = wellKnown[message.typeName];
    if (known !== undefined) return known;
    const value = message.fields[0];
    if (isWrapperDesc(message) && value !== undefined) return this.value(value, direction);
    const isInput = direction === "request" && this.#answered.has(message.typeName);
    const name = `${shortName(message)}${isInput ? "Input" : ""}`;
    return this.component(name, message.typeName + (isInput ? " in requests" : ""), () =>
      this.object(message, direction, message.fields),
    );
  }

  /** The schema of an object with these fields of a message. */
  object(message: DescMessage, direction: Direction, fields: readonly DescField[]): JsonObject {
    const required = fields.filter((field) =>
      direction === "request" ? isRequired(field) : this.#isAlwaysWritten(field),
    );
    const choices = message.oneofs
      .map((oneof) => oneof.fields.filter((field) => fields.includes(field)))
      .flatMap((members) => this.#choice(members, direction));
    const description = commentOf(message);
    return {
      type: "object",
      ...(description !== "" && { description }),
      ...(message.proto.options?.deprecated === true && { deprecated: true }),
      properties: Object.fromEntries(
        fields.map((field) => [this.nameOf(field), this.field(field, direction)]),
      ),
      ...(required.length > 0 && { required: required.map((field) => this.nameOf(field)) }),
      ...(choices.length === 1 ? choices[0] : choices.length > 1 && { allOf: choices }),
    };
  }

  /** The schema of a field with its description and behavior. */
  field(field: DescField, direction: Direction): JsonObject {
    const description = commentOf(field);
    return {
      ...this.value(field, direction),
      ...(description !== "" && { description }),
      ...(field.proto.options?.deprecated === true && { deprecated: true }),
      ...(hasBehavior(field, FieldBehavior.OUTPUT_ONLY) && { readOnly: true }),
      ...(hasBehavior(field, FieldBehavior.INPUT_ONLY) && { writeOnly: true }),
    };
  }

  /** The schema of a field's value. */
  value(field: DescField, direction: Direction): JsonObject {
    const single = (): JsonObject => {
      if (field.message !== undefined) return this.message(field.message, direction);
      return field.enum === undefined ? scalarSchema(field.scalar) : this.#enum(field.enum);
    };
    switch (field.fieldKind) {
      case "list":
        return { type: "array", items: single() };
      case "map":
        return {
          type: "object",
          ...(field.mapKey !== ScalarType.STRING && { propertyNames: mapKeySchema(field.mapKey) }),
          additionalProperties: single(),
        };
      default:
        return single();
    }
  }

  /** A reference to the component of this name, which is made on first use. Throws if another type has the name. */
  component(name: string, owner: string, make: () => JsonObject): JsonObject {
    const known = this.#owners.get(name);
    if (known === undefined) {
      this.#owners.set(name, owner);
      this.components[name] = {};
      this.components[name] = make();
    } else if (known !== owner) {
      throw new Error(`${owner} and ${known} would have the same schema name ${name}`);
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  #enum(type: DescEnum): JsonObject {
    if (type.typeName === "google.protobuf.NullValue") return { type: "null" };
    return this.component(shortName(type), type.typeName, () => {
      const values = type.values.map((value) => `- \`${value.name}\`: ${commentOf(value)}`);
      return {
        type: "string",
        description: [commentOf(type), values.join("\n")].join("\n\n").trim(),
        enum: type.values.map(({ name }) => name),
      };
    });
  }

  /** Protobuf-es writes fields without presence even if they have the default value, if the option is set. */
  #isAlwaysWritten(field: DescField): boolean {
    if (this.#write.alwaysEmitImplicit !== true || hasBehavior(field, FieldBehavior.INPUT_ONLY)) return false;
    return field.presence === FeatureSet_FieldPresence.IMPLICIT;
  }

  /** Exactly one member of a required oneof; at most one of another. */
  #choice(members: readonly DescField[], direction: Direction): JsonObject[] {
    const [first] = members;
    const each = members.map((field): JsonObject => ({ required: [this.nameOf(field)] }));
    if (first?.oneof === undefined) return [];
    if (direction === "request" && isRequiredOneof(first.oneof)) return [{ oneOf: each }];
    return members.length < 2 ? [] : [{ oneOf: [...each, { not: { anyOf: [...each] } }] }];
  }
}

/** Whether a request without this field is refused. */
export function isRequired(field: DescField): boolean {
  return field.oneof === undefined && hasBehavior(field, FieldBehavior.REQUIRED);
}

/** google.api.field_behavior is an option of fields only: a oneof is required if its comment begins with "Required". */
export function isRequiredOneof(oneof: DescOneof): boolean {
  return /^Required\b/.test(commentOf(oneof));
}

function hasBehavior(field: DescField, behavior: FieldBehavior): boolean {
  return hasOption(field, field_behavior) && getOption(field, field_behavior).includes(behavior);
}

/** `Message`, or `Message_Nested`. */
function shortName({ typeName, file }: DescMessage | DescEnum): string {
  const name = file.proto.package === "" ? typeName : typeName.slice(file.proto.package.length + 1);
  return name.replaceAll(".", "_");
}

/** Type names of these messages and of all messages in their fields. */
function reachable(messages: readonly DescMessage[]): ReadonlySet<string> {
  const found = new Set<string>();
  const add = (message: DescMessage): void => {
    if (found.has(message.typeName)) return;
    found.add(message.typeName);
    for (const { message: inner } of message.fields) if (inner !== undefined) add(inner);
  };
  messages.forEach(add);
  return found;
}

/** The JSON forms of well-known types. */
const wellKnown: Readonly<Record<string, JsonObject>> = {
  "google.protobuf.Timestamp": { type: "string", format: "date-time" },
  "google.protobuf.Duration": { type: "string", pattern: "^-?\\d{1,12}(\\.\\d{1,9})?s$", examples: ["60s"] },
  "google.protobuf.FieldMask": { type: "string", pattern: "^(?:\\*|[A-Za-z0-9_.,]*)$" },
  "google.protobuf.Struct": { type: "object", additionalProperties: true },
  "google.protobuf.Value": {},
  "google.protobuf.ListValue": { type: "array", items: {} },
  "google.protobuf.Empty": { type: "object" },
  "google.protobuf.Any": { type: "object", properties: { "@type": { type: "string" } }, required: ["@type"] },
};

function scalarSchema(scalar: ScalarType): JsonObject {
  switch (scalar) {
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.BYTES:
      return { type: "string", contentEncoding: "base64" };
    case ScalarType.FLOAT:
      return { type: ["number", "string"], format: "float" };
    case ScalarType.DOUBLE:
      return { type: ["number", "string"], format: "double" };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { type: "integer", format: "int32" };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { type: "integer", minimum: 0, maximum: 4_294_967_295 };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return { type: "string", format: "int64", pattern: "^-?\\d{1,19}$", examples: ["42"] };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { type: "string", format: "uint64", pattern: "^\\d{1,20}$", examples: ["42"] };
  }
}

function mapKeySchema(scalar: ScalarType): JsonObject {
  return scalar === ScalarType.BOOL ? { enum: ["true", "false"] } : { pattern: "^-?\\d{1,20}$" };
}
