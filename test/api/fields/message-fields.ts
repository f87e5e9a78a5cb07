import { type DescField, type DescMessage, ScalarType, getOption, hasOption } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { FieldBehaviorSchema, field_behavior } from "../../../gen/google/api/field_behavior_pb.ts";

/** The names of a field's behaviours, such as `REQUIRED`. */
export function behavioursOf(field: DescField): readonly string[] {
  if (!hasOption(field, field_behavior)) return [];
  return getOption(field, field_behavior).map((value) => FieldBehaviorSchema.value[value]?.name ?? "");
}

/** Whether the API defines the message, as opposed to a well-known type. */
export function isOwn(message: DescMessage | undefined): message is DescMessage {
  return message !== undefined && /^(session|compat)\./.test(message.typeName);
}

/** A field of a message or of a message in it. */
export interface Place {
  /** As in a FieldViolation: `authentication_factors[0].method`. */
  readonly path: string;
  readonly field: DescField;
  readonly holder: ReflectMessage;
  readonly behaviours: readonly string[];
}

/** Walks through the fields of a message, set or not, and of the messages that are set in it and that clients may set. */
export function* placesIn(holder: ReflectMessage, prefix = ""): Generator<Place> {
  for (const field of holder.fields) {
    const path = prefix + field.name;
    const behaviours = behavioursOf(field);
    yield { path, field, holder, behaviours };
    if (!isOwn(field.message) || !holder.isSet(field) || behaviours.includes("OUTPUT_ONLY")) continue;
    if (field.fieldKind === "message") yield* placesIn(holder.get(field), `${path}.`);
    if (field.fieldKind !== "list") continue;
    for (const [i, item] of [...holder.get(field)].entries()) {
      yield* placesIn(item as ReflectMessage, `${path}[${i}].`);
    }
  }
}

/** The paths of all fields that clients may set, with `[0]` for every list of messages. */
export function settablePaths(message: DescMessage, prefix = ""): readonly string[] {
  return message.fields.flatMap((field) => {
    if (behavioursOf(field).includes("OUTPUT_ONLY")) return [];
    const path = prefix + field.name;
    const nested = isOwn(field.message)
      ? settablePaths(field.message, field.fieldKind === "list" ? `${path}[0].` : `${path}.`)
      : [];
    return [path, ...nested];
  });
}

/** Sets a field to a value other than its default and other than the one it has. */
export function setSample({ field, holder }: Pick<Place, "field" | "holder">): void {
  switch (field.fieldKind) {
    case "scalar":
      return holder.set(field, sampleScalar(field.scalar));
    case "enum": {
      const other = field.enum.values.find(({ number }) => number !== 0 && number !== holder.get(field));
      return holder.set(field, other?.number ?? 0);
    }
    case "message": {
      const message = reflect(field.message);
      const [first] = message.fields;
      if (first !== undefined) setSample({ field: first, holder: message });
      return holder.set(field, message);
    }
    case "list":
    case "map":
      throw new Error(`there is no sample for ${field.toString()}`);
  }
}

function sampleScalar(scalar: ScalarType): unknown {
  switch (scalar) {
    case ScalarType.STRING:
      return "a-sample";
    case ScalarType.BOOL:
      return true;
    case ScalarType.INT64:
      return 1n;
    case ScalarType.INT32:
      return 1;
    default:
      throw new Error(`there is no sample for ${ScalarType[scalar]}`);
  }
}
