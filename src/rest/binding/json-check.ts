import type { DescField, DescMessage, DescOneof, JsonValue, Registry } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { badRequest, shownName } from "../errors/failure.ts";
import { findField } from "../routes/field-path.ts";
import { WrittenNumber } from "./numbers.ts";
import {
  type ExactJson,
  ValueError,
  checkAnyNumber,
  checkEnum,
  checkMapKey,
  checkScalar,
  checkString,
  checkText,
  textForms,
} from "./scalars.ts";

export interface JsonCheckOptions {
  readonly unknownMembers: "refuse" | "ignore";
  /** Types that a google.protobuf.Any may hold. */
  readonly registry: Registry | undefined;
}

type JsonObject = Record<string, ExactJson>;

/**
 * Checks JSON against a message type and returns it in the form for protobuf-es: with large integers as digits, and without unknown members
 * if the dialect ignores them. Throws 400 errors that name the place, because those of protobuf-es repeat the value. Refuses what
 * protobuf-es accepts silently: unknown enum names if unknown members are ignored, NUL, hexadecimal integers, invalid days.
 */
export function checkMessage(message: DescMessage, json: ExactJson, options: JsonCheckOptions): JsonValue {
  const checker = new JsonChecker(options);
  return checker.run(() => checker.message(message, json));
}

/** Checks JSON against the type of one field. */
export function checkField(field: DescField, json: ExactJson, options: JsonCheckOptions): JsonValue {
  const checker = new JsonChecker(options);
  const holder: JsonObject = { [field.name]: json };
  return checker.run(() => checker.field(holder, field.name, field));
}

class JsonChecker {
  readonly #options: JsonCheckOptions;
  /** Names and indexes of the current value. */
  readonly #path: (string | number)[] = [];

  constructor(options: JsonCheckOptions) {
    this.#options = options;
  }

  /** Runs a check and adds the place to its error. */
  run(check: () => JsonValue): JsonValue {
    try {
      return check();
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      const steps = this.#path.map((step) =>
        typeof step === "number" ? `[${step}]` : `.${shownName(step)}`,
      );
      const place = steps.join("").replace(/^\./, "");
      throw badRequest("body", place === "" ? undefined : place, error.message);
    }
  }

  message(message: DescMessage, json: ExactJson): JsonValue {
    const form = textForms.get(message.typeName);
    if (form !== undefined) return checkText(json, form);
    switch (message.typeName) {
      case "google.protobuf.Any":
        return this.#any(json);
      case "google.protobuf.Struct":
        return this.#anyJson(asObject(json));
      case "google.protobuf.ListValue":
        if (!Array.isArray(json)) throw new ValueError("expected an array");
        return this.#anyJson(json);
      case "google.protobuf.Value":
        return this.#anyJson(json);
    }
    const value = message.fields[0];
    if (isWrapperDesc(message) && value?.fieldKind === "scalar") {
      return json === null ? null : checkScalar(value.scalar, json);
    }
    return this.#members(message, asObject(json));
  }

  /** Checks a member of an object. null means absent, unless it is a value of the type. */
  field(holder: JsonObject, key: string, field: DescField): JsonValue {
    return this.#step(holder, key, (json) => {
      if (json === null && !takesNull(field)) return null;
      const single = (value: ExactJson): JsonValue => this.#single(field, value);
      switch (field.fieldKind) {
        case "scalar":
        case "enum":
        case "message":
          return single(json);
        case "list":
          if (!Array.isArray(json)) throw new ValueError("expected an array");
          return this.#items(json, single);
        case "map":
          return this.#entries(asObject(json), (entry) => checkMapKey(field.mapKey, entry), single);
      }
    });
  }

  #single(field: DescField, json: ExactJson): JsonValue {
    if (field.message !== undefined) return this.message(field.message, json);
    return field.enum === undefined ? checkScalar(field.scalar, json) : checkEnum(field.enum, json);
  }

  #members(message: DescMessage, object: JsonObject): JsonValue {
    const taken = new Map<DescField | DescOneof, DescField>();
    for (const key of Object.keys(object)) {
      const field = findField(message, key, "proto_or_json");
      if (field === undefined && this.#options.unknownMembers === "ignore") {
        delete object[key];
        continue;
      }
      if (field === undefined) this.#fail(key, "unknown member");
      if (taken.has(field)) this.#fail(key, "given twice, under its proto name and its JSON name");
      taken.set(field, field);
      if (field.oneof !== undefined && (object[key] !== null || takesNull(field))) {
        const other = taken.get(field.oneof);
        if (other !== undefined) this.#fail(key, `excludes "${other.name}", which is given too`);
        taken.set(field.oneof, field);
      }
      this.field(object, key, field);
    }
    return object as JsonValue;
  }

  #any(json: ExactJson): JsonValue {
    const { "@type": typeUrl, ...members }: JsonObject = asObject(json);
    if (typeUrl === undefined && Object.keys(members).length === 0) return {};
    if (typeof typeUrl !== "string") this.#fail("@type", "expected a type URL");
    const message = this.#options.registry?.getMessage(typeUrl.slice(typeUrl.lastIndexOf("/") + 1));
    if (message === undefined) this.#fail("@type", "an unknown type");
    if (message.typeName.startsWith("google.protobuf.") && members["value"] !== undefined) {
      return {
        "@type": typeUrl,
        value: this.#step<string>(members, "value", (value) => this.message(message, value)),
      };
    }
    this.#members(message, members);
    return { "@type": typeUrl, ...(members as Record<string, JsonValue>) };
  }

  /** Checks the content of a Struct, Value or ListValue, which hold any JSON. */
  #anyJson(json: ExactJson): JsonValue {
    if (typeof json === "string") return checkString(json);
    if (typeof json === "number" || json instanceof WrittenNumber) return checkAnyNumber(json);
    if (json === null || typeof json === "boolean") return json;
    const check = (value: ExactJson): JsonValue => this.#anyJson(value);
    return Array.isArray(json) ? this.#items(json, check) : this.#entries(asObject(json), checkString, check);
  }

  #items(items: ExactJson[], check: (value: ExactJson) => JsonValue): JsonValue {
    for (let index = 0; index < items.length; index++) this.#step(items, index, check);
    return items as JsonValue[];
  }

  #entries(
    object: JsonObject,
    checkKey: (key: string) => void,
    check: (value: ExactJson) => JsonValue,
  ): JsonValue {
    for (const key of Object.keys(object)) {
      checkKey(key);
      this.#step(object, key, check);
    }
    return object as JsonValue;
  }

  /** Checks one value inside another, and replaces it by its form for protobuf-es. */
  #step<K extends string | number>(
    holder: Record<K, ExactJson>,
    key: K,
    check: (value: ExactJson) => JsonValue,
  ): JsonValue {
    this.#path.push(key);
    const given = holder[key];
    const checked = check(given);
    if (checked !== given) holder[key] = checked;
    this.#path.pop();
    return checked;
  }

  #fail(key: string, reason: string): never {
    this.#path.push(key);
    throw new ValueError(reason);
  }
}

function takesNull(field: DescField): boolean {
  return (
    field.message?.typeName === "google.protobuf.Value" ||
    field.enum?.typeName === "google.protobuf.NullValue"
  );
}

function asObject(json: ExactJson): JsonObject {
  const isObject = typeof json === "object" && json !== null && !Array.isArray(json);
  if (!isObject || json instanceof WrittenNumber) {
    throw new ValueError("expected a JSON object");
  }
  return json as JsonObject;
}
