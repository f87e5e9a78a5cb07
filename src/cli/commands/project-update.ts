import { type JsonObject, type JsonValue, create, fromJson } from "@bufbuild/protobuf";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import type { Command } from "commander";
import {
  EnvironmentSchema,
  JwtProfileSchema,
  type Policy,
  PolicySchema,
  type Project,
  SessionLimitActionSchema,
  SignatureAlgorithmSchema,
  TokenReuseActionSchema,
} from "../../../gen/session/v1/project_pb.ts";
import {
  GetProjectResponseSchema,
  UpdateProjectResponseSchema,
} from "../../../gen/session/v1/project_service_pb.ts";
import { usageFailure } from "../output/failure.ts";
import { enumValue, enumWord, enumWords, formatDuration, formatTime } from "../output/format.ts";
import { pairs } from "../output/table.ts";
import { type ServiceRun, addServiceCommand } from "../run/command.ts";
import { type OptionValues, parseDuration, parseList } from "../run/options.ts";
import { callFailure } from "../run/service.ts";
import { permissionWord, readPermissions } from "./new-credential.ts";

/** Adds `project show` and `project update`. */
export function addProjectUpdate(project: Command): void {
  addServiceCommand(project, "show", {
    description: "show a project and its policy",
    options: { "<id>": "the project" },
    action: async ({ options: { id }, output, projects }) => {
      const response = await projects.getProject({ id });
      await output.message(GetProjectResponseSchema, response, toText(response.project));
    },
  });
  addServiceCommand(project, "update", {
    description: "change a project's name and policy; what no option names stays as it is",
    options: updateOptions,
    help: "\nDurations have a unit: 500ms, 30s, 5m, 12h, 90d.",
    action: updateProject,
  });
}

/** The fields of a policy: an option has the name of its field. */
const policyOptions = {
  "--default-lifetime <duration>": "lifetime of a session whose creation states none",
  "--max-lifetime <duration>": "longest lifetime of a session",
  "--default-idle-timeout <duration>": "idle timeout of a session whose creation states none",
  "--jwt-lifetime <duration>": "lifetime of a session JWT",
  "--role-grants <grants>":
    "what members with a role may do in their organization: role=permissions; …, such as " +
    "admin=sessions.read,sessions.revoke;support=sessions.read",
  "--jwt-profile <profile>": { help: "claims of session JWTs", choices: enumWords(JwtProfileSchema) },
  "--signature-algorithm <algorithm>": {
    help: "algorithm of the next signing key",
    choices: enumWords(SignatureAlgorithmSchema),
  },
  "--max-sessions-per-member <number>": "most active sessions of a member; 0 for any number",
  "--session-limit-action <action>": {
    help: "what a login beyond that does",
    choices: enumWords(SessionLimitActionSchema),
  },
  "--token-reuse-action <action>": {
    help: "what happens if a replaced token is presented",
    choices: enumWords(TokenReuseActionSchema),
  },
  "--token-reuse-leeway <duration>": "how long the token that was replaced last is accepted",
};
type PolicyOptions = OptionValues<typeof policyOptions>;
type PolicyField = keyof typeof PolicySchema.field;

const updateOptions = {
  "<id>": "the project",
  "--display-name <name>": "a name for people",
  ...policyOptions,
  "--clear <fields>":
    "give these back their defaults, separated by commas, such as default-idle-timeout,role-grants",
};

/** Reads the value of each option as proto JSON. */
const readers: Readonly<Record<PolicyField, (text: string) => JsonValue>> = {
  defaultLifetime: parseDuration("--default-lifetime"),
  maxLifetime: parseDuration("--max-lifetime"),
  defaultIdleTimeout: parseDuration("--default-idle-timeout"),
  jwtLifetime: parseDuration("--jwt-lifetime"),
  roleGrants: parseRoleGrants,
  jwtProfile: (word) => enumValue(JwtProfileSchema, word),
  signatureAlgorithm: (word) => enumValue(SignatureAlgorithmSchema, word),
  maxSessionsPerMember: parseCount,
  sessionLimitAction: (word) => enumValue(SessionLimitActionSchema, word),
  tokenReuseAction: (word) => enumValue(TokenReuseActionSchema, word),
  tokenReuseLeeway: parseDuration("--token-reuse-leeway"),
};

/**
 * Sends only what the command line names. Makes two calls to change the policy and the name. The policy, which may be refused,
 * comes first.
 */
async function updateProject(run: ServiceRun<OptionValues<typeof updateOptions>>): Promise<void> {
  const { options, output, projects, target } = run;
  const { id, displayName = "" } = options;
  const cleared = readCleared(options);
  const policy = readPolicy(options);
  const paths = PolicySchema.fields
    .filter(({ name, jsonName }) => jsonName in policy || cleared.includes(name))
    .map(({ name }) => name);
  const isRenamed = options.displayName !== undefined || cleared.includes("display_name");
  if (paths.length === 0 && !isRenamed) {
    throw usageFailure("there is nothing to change: give at least one option");
  }
  let project: Project | undefined;
  if (paths.length > 0) {
    const request = { policy: fromJson(PolicySchema, policy), updateMask: { paths } };
    ({ project } = await projects.updatePolicy({ projectId: id, ...request }));
  }
  if (isRenamed) {
    const request = { project: { id, displayName }, updateMask: { paths: ["display_name"] } };
    const renaming = projects.updateProject(request).catch((error: unknown) => {
      if (!(error instanceof ConnectError) || project === undefined) throw error;
      const state = `the policy of project ${id} was changed, but not its name`;
      throw callFailure(error, target, { state, howToContinue: "repeat the command" });
    });
    ({ project } = await renaming);
  }
  if (project === undefined) throw new Error("the service answered without the project");
  await output.message(
    UpdateProjectResponseSchema,
    create(UpdateProjectResponseSchema, { project }),
    toText(project),
  );
}

function readPolicy(options: PolicyOptions): JsonObject {
  const policy: JsonObject = {};
  for (const name of policyNames) {
    const text = options[name];
    if (text !== undefined) policy[name] = readers[name](text);
  }
  return policy;
}

const policyNames = Object.keys(readers) as PolicyField[];

/** The fields of `--clear`, as in a field mask. */
function readCleared(options: OptionValues<typeof updateOptions>): readonly string[] {
  const fields = ["display_name", ...PolicySchema.fields.map(({ name }) => name)];
  const cleared = options.clear === undefined ? [] : parseList(options.clear);
  const names = cleared.map((word) => word.replaceAll("-", "_"));
  const unknown = cleared.find((_, i) => !fields.includes(names[i] ?? ""));
  if (unknown !== undefined) {
    const known = fields.map((name) => name.replaceAll("_", "-")).join(", ");
    throw usageFailure(`--clear must name fields, separated by commas: ${known}`);
  }
  const given = policyNames
    .filter((name) => options[name] !== undefined)
    .map((name) => PolicySchema.field[name].name);
  if (options.displayName !== undefined) given.push("display_name");
  const both = names.find((name) => given.includes(name));
  if (both === undefined) return names;
  throw usageFailure(`${both.replaceAll("_", "-")} is set and cleared: give one of them`);
}

function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw usageFailure("--max-sessions-per-member must be a whole number, 0 for any number");
}

/** Reads `role=permission,permission; role=permission`. The last `=` of an entry counts, so that a role may contain one. */
function parseRoleGrants(text: string): JsonValue {
  const entries = text.split(";").map((entry) => entry.trim());
  return entries
    .filter((entry) => entry !== "")
    .map((entry) => {
      const equals = entry.lastIndexOf("=");
      if (equals < 1) throw usageFailure("--role-grants must be role=permissions, several separated by ;");
      const permissions = readPermissions(entry.slice(equals + 1));
      return { role: entry.slice(0, equals).trim(), permissions };
    });
}

function toText(project: Project | undefined): string {
  if (project === undefined) return "";
  const { id, displayName, environment, policy, createTime, disableTime } = project;
  return pairs({
    project: id,
    name: displayName,
    environment: enumWord(EnvironmentSchema, environment),
    created: formatTime(createTime),
    disabled: disableTime && formatTime(disableTime),
    ...(policy && shownPolicy(policy)),
  });
}

/** The policy under the names of the options. */
function shownPolicy(policy: Policy): Record<string, string> {
  const duration = (value: Duration | undefined) =>
    value === undefined ? "" : formatDuration(durationMs(value));
  const grants = policy.roleGrants.map(
    ({ role, permissions }) => `${role}=${permissions.map(permissionWord).join(",")}`,
  );
  return {
    "default-lifetime": duration(policy.defaultLifetime),
    "max-lifetime": duration(policy.maxLifetime),
    "default-idle-timeout": duration(policy.defaultIdleTimeout),
    "jwt-lifetime": duration(policy.jwtLifetime),
    "role-grants": grants.join(";"),
    "jwt-profile": enumWord(JwtProfileSchema, policy.jwtProfile),
    "signature-algorithm": enumWord(SignatureAlgorithmSchema, policy.signatureAlgorithm),
    "max-sessions-per-member": String(policy.maxSessionsPerMember ?? 0),
    "session-limit-action": enumWord(SessionLimitActionSchema, policy.sessionLimitAction),
    "token-reuse-action": enumWord(TokenReuseActionSchema, policy.tokenReuseAction),
    "token-reuse-leeway": duration(policy.tokenReuseLeeway),
  };
}
