import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import { type FieldViolation, SessiondError } from "../../domain/errors.ts";
import {
  type ProjectId,
  characters,
  isStorable,
  maxOpaqueIdLength,
  parseCredentialId,
  parseMemberId,
  parseOrganizationId,
  parseProjectId,
  parseSessionId,
} from "../../domain/ids.ts";

/** Bounds in milliseconds, both included. */
export interface DurationBounds {
  readonly min: number;
  readonly max: number;
}

/** Reads the fields of a request. Fails with FIELD_INVALID and all violations at once, up to the number that an error may name; the result of `read` is then unused. */
export function readFields<T>(read: (fields: FieldChecker) => T): T {
  const fields = new FieldChecker();
  const value = read(fields);
  const { violations } = fields;
  if (violations.length > 0) throw new SessiondError("FIELD_INVALID", { violations });
  return value;
}

/** Reads a request of which only the id of a project can be invalid. */
export function readProjectId(field: "id" | "project_id", value: string): ProjectId {
  return readFields((fields) => fields.projectId(field, value));
}

/** Inverts a map from the domain's names to the numbers of a proto enum. */
export function namesOf<Name extends string, Value>(
  values: Readonly<Record<Name, Value>>,
): ReadonlyMap<Value, Name> {
  return new Map((Object.keys(values) as Name[]).map((name) => [values[name], name]));
}

/** Checks fields one by one. Field names are proto names. */
export class FieldChecker {
  readonly violations: FieldViolation[] = [];

  /** Records a violation. The result is never used: {@link readFields} fails. */
  violation<T>(field: string, description: string): T {
    this.violations.push({ field, description });
    return undefined as T;
  }

  /** Parses a value; if `parse` returns undefined, `description` says what is accepted. */
  parsed<In, Out>(field: string, value: In, parse: (value: In) => Out | undefined, description: string): Out {
    return parse(value) ?? this.violation(field, description);
  }

  sessionId(field: string, value: string) {
    return this.parsed(field, value, parseSessionId, "must be a UUID");
  }

  credentialId(field: string, value: string) {
    return this.parsed(field, value, parseCredentialId, "must be a UUID");
  }

  projectId(field: string, value: string) {
    const form = "must be a letter or digit, then letters, digits, '.', '_' or '-', up to 64 characters";
    return this.parsed(field, value, parseProjectId, form);
  }

  memberId(field: string, value: string) {
    return this.parsed(field, value, parseMemberId, opaqueIdForm);
  }

  organizationId(field: string, value: string) {
    return this.parsed(field, value, parseOrganizationId, opaqueIdForm);
  }

  /** Reads a field that may be empty. */
  optional<T>(value: string, read: (value: string) => T): T | undefined {
    return value === "" ? undefined : read(value);
  }

  /** Text of `min` to `max` characters, without NUL. */
  text(field: string, value: string, max: number, min = 0): string {
    if (!isStorable(value)) return this.violation(field, "must be valid Unicode without NUL");
    const length = characters(value);
    if (length >= min && length <= max) return value;
    return this.violation(field, `must have ${min === 0 ? "at most" : `${min} to`} ${max} characters`);
  }

  /** At most `max` elements; their field names have the index. */
  list<In, Out>(
    field: string,
    values: readonly In[],
    max: number,
    read: (field: string, value: In) => Out,
  ): Out[] {
    if (values.length > max) return this.violation(field, `must have at most ${max} elements`);
    return values.map((value, i) => read(`${field}[${i}]`, value));
  }

  /** A duration in milliseconds; undefined if absent. */
  duration(field: string, value: Duration | undefined, bounds: DurationBounds): number | undefined {
    if (value === undefined) return undefined;
    const { seconds, nanos } = value;
    const ms = Number(seconds) * 1000 + nanos / 1e6;
    // JSON has no spelling for nanos of the other sign or of a second and more.
    const isValid = Math.abs(nanos) < 1e9 && (nanos === 0 || seconds === 0n || nanos > 0 === seconds > 0n);
    if (isValid && ms >= bounds.min && ms <= bounds.max) return Math.round(ms);
    return this.violation(field, `must be ${bounds.min / 1000} to ${bounds.max / 1000} seconds`);
  }

  /** A time that fits a Timestamp; undefined if absent. */
  time(field: string, value: Timestamp | undefined): Date | undefined {
    if (value === undefined) return undefined;
    const { seconds, nanos } = value;
    const ms = Number(seconds) * 1000 + Math.floor(nanos / 1e6);
    if (ms >= earliest && ms <= latest && nanos >= 0 && nanos < 1e9) return new Date(ms);
    return this.violation(field, "must be a time from year 1 to year 9999");
  }

  /** A value in which `problemOf` finds no problem. */
  checked<T>(field: string, value: T, problemOf: (value: T) => string | undefined): T {
    const problem = problemOf(value);
    return problem === undefined ? value : this.violation(field, problem);
  }
}

const opaqueIdForm = `must have 1 to ${maxOpaqueIdLength} characters, without NUL`;

const earliest = Date.parse("0001-01-01T00:00:00Z");
const latest = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
