import {
  SignatureAlgorithm as ProtoAlgorithm,
  SessionLimitAction as ProtoLimitAction,
  Permission as ProtoPermission,
  type Policy as ProtoPolicy,
  JwtProfile as ProtoProfile,
  TokenReuseAction as ProtoReuseAction,
} from "../../../gen/session/v1/project_pb.ts";
import {
  type PolicyChange,
  defaultPolicy,
  durationBounds,
  jwtLifetimeBounds,
  maxSessionsBounds,
  memberPermissions,
  roleGrantBounds,
  tokenReuseLeewayBounds,
} from "../../domain/policy.ts";
import type { Permission } from "../../domain/project.ts";
import { type FieldChecker, namesOf } from "./fields.ts";
import { protoLimitActions, protoPermissions, protoProfiles, protoReuseActions } from "./project-messages.ts";
import { protoAlgorithms } from "./signing-key-messages.ts";

const profiles = namesOf(protoProfiles);
const limitActions = namesOf(protoLimitActions);
const reuseActions = namesOf(protoReuseActions);
const algorithms = namesOf(protoAlgorithms);

interface Reader<T> {
  /** Name of the field in the proto. */
  readonly name: string;
  /** Returns the default if the field is not set. */
  readonly read: (fields: FieldChecker, policy: ProtoPolicy, field: string) => T;
}

const readers: { readonly [Key in keyof PolicyChange]-?: Reader<PolicyChange[Key]> } = {
  defaultLifetime: {
    name: "default_lifetime",
    read: (fields, policy, field) => fields.duration(field, policy.defaultLifetime, durationBounds),
  },
  maxLifetime: {
    name: "max_lifetime",
    read: (fields, policy, field) =>
      fields.duration(field, policy.maxLifetime, durationBounds) ?? defaultPolicy.maxLifetime,
  },
  defaultIdleTimeout: {
    name: "default_idle_timeout",
    read: (fields, policy, field) => fields.duration(field, policy.defaultIdleTimeout, durationBounds),
  },
  jwtLifetime: {
    name: "jwt_lifetime",
    read: (fields, policy, field) =>
      fields.duration(field, policy.jwtLifetime, jwtLifetimeBounds) ?? defaultPolicy.jwtLifetime,
  },
  roleGrants: {
    name: "role_grants",
    read: (fields, policy, list) =>
      fields.list(list, policy.roleGrants, roleGrantBounds.grants, (field, grant) => ({
        role: fields.text(`${field}.role`, grant.role, roleGrantBounds.role, 1),
        permissions: readPermissions(fields, `${field}.permissions`, grant.permissions, memberPermissions),
      })),
  },
  jwtProfile: {
    name: "jwt_profile",
    read: (fields, policy, field) => {
      const value = policy.jwtProfile || ProtoProfile.DEFAULT;
      return fields.parsed(field, value, (number) => profiles.get(number), "must be a JwtProfile");
    },
  },
  signatureAlgorithm: {
    name: "signature_algorithm",
    read: (fields, { signatureAlgorithm: value }, field) =>
      value === ProtoAlgorithm.UNSPECIFIED
        ? undefined
        : fields.parsed(field, value, (number) => algorithms.get(number), "must be a SignatureAlgorithm"),
  },
  maxSessionsPerMember: {
    name: "max_sessions_per_member",
    read: (fields, { maxSessionsPerMember: max = 0 }, field) => {
      const { min, max: limit } = maxSessionsBounds;
      if (max === 0) return undefined;
      if (max >= min && max <= limit) return max;
      return fields.violation(field, `must be ${min} to ${limit}, or 0 for any number`);
    },
  },
  sessionLimitAction: {
    name: "session_limit_action",
    read: (fields, policy, field) => {
      const value = policy.sessionLimitAction || ProtoLimitAction.REFUSE;
      return fields.parsed(
        field,
        value,
        (number) => limitActions.get(number),
        "must be a SessionLimitAction",
      );
    },
  },
  tokenReuseAction: {
    name: "token_reuse_action",
    read: (fields, policy, field) => {
      const value = policy.tokenReuseAction || ProtoReuseAction.REFUSE;
      return fields.parsed(field, value, (number) => reuseActions.get(number), "must be a TokenReuseAction");
    },
  },
  tokenReuseLeeway: {
    name: "token_reuse_leeway",
    read: (fields, policy, field) =>
      fields.duration(field, policy.tokenReuseLeeway, tokenReuseLeewayBounds) ??
      defaultPolicy.tokenReuseLeeway,
  },
};

/** Names of all fields of a policy, as in a field mask. */
export const policyFieldNames: readonly string[] = Object.values(readers).map(({ name }) => name);

/** Reads the named fields of a policy. One that is not set gets its default. */
export function readPolicy(
  fields: FieldChecker,
  policy: ProtoPolicy,
  names = policyFieldNames,
): PolicyChange {
  const read = Object.entries(readers)
    .filter(([, { name }]) => names.includes(name))
    .map(([key, reader]) => [key, reader.read(fields, policy, `policy.${reader.name}`)]);
  return Object.fromEntries(read) as PolicyChange;
}

/** Removes duplicates; all values must be in `allowed`. */
export function readPermissions<T extends Permission>(
  fields: FieldChecker,
  field: string,
  values: readonly ProtoPermission[],
  allowed: readonly T[],
): readonly T[] {
  const parse = (value: ProtoPermission) => allowed.find((one) => protoPermissions[one] === value);
  const description = `must be one of ${namesOfPermissions(allowed)}`;
  const unique = [...new Set(values)];
  const unknown = unique.find((value) => parse(value) === undefined);
  if (unknown !== undefined) return fields.violation(`${field}[${values.indexOf(unknown)}]`, description);
  return unique.flatMap((value) => parse(value) ?? []);
}

export function namesOfPermissions(values: readonly Permission[]): string {
  return values.map((one) => `PERMISSION_${protoNames.get(protoPermissions[one])}`).join(", ");
}

const protoNames = new Map<number, string>(
  Object.entries(ProtoPermission).map(([name, value]) => [value, name]),
);
