import { randomUUID } from "node:crypto";
import {
  type MemberId,
  type OrganizationId,
  type ProjectId,
  newSessionId,
  parseMemberId,
  parseOrganizationId,
  parseProjectId,
} from "../../src/domain/ids.ts";
import { defaultPolicy } from "../../src/domain/policy.ts";
import type { Project } from "../../src/domain/project.ts";
import type { RevocationOrder } from "../../src/domain/revocation.ts";
import type { Session } from "../../src/domain/session.ts";
import type { NewSession, Store } from "../../src/domain/store.ts";
import { type TokenRef, newProjectTag, newSessionToken, parseSessionToken } from "../../src/domain/token.ts";

/** When the tests' clocks start. */
export const start = new Date("2026-03-01T12:00:00.000Z");

/** `ms` milliseconds after {@link start}. */
export function at(ms: number): Date {
  return new Date(start.getTime() + ms);
}

/** Milliseconds of an hour. */
export const hour = 3_600_000;

/** `text` as a project id. */
export function projectId(text: string): ProjectId {
  return must(parseProjectId(text));
}

/** `text` as a member id. */
export function memberId(text: string): MemberId {
  return must(parseMemberId(text));
}

/** `text` as an organization id. */
export function organizationId(text: string): OrganizationId {
  return must(parseOrganizationId(text));
}

/** What is there, or a failed test. */
export function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected a value");
  return value;
}

/** A project that is not stored yet. */
export function newProject(overrides: Partial<Project> = {}): Project {
  return {
    id: projectId(`project-${randomUUID()}`),
    tag: newProjectTag(),
    displayName: "A project",
    environment: "test",
    policy: defaultPolicy,
    createTime: start,
    disableTime: undefined,
    ...overrides,
  };
}

/** A project of its own for a test. */
export async function storedProject(store: Store, overrides: Partial<Project> = {}): Promise<Project> {
  const project = newProject(overrides);
  if (!(await store.createProject(project))) throw new Error("the project id is taken");
  return project;
}

/** A session that is not stored yet: one hour, no idle timeout, member `ada`. */
export function newSession(project: Project, overrides: Partial<NewSession> = {}): NewSession {
  return {
    projectId: project.id,
    id: newSessionId(),
    memberId: memberId("ada"),
    organizationId: undefined,
    createTime: start,
    lastAccessTime: start,
    expireTime: at(hour),
    idleTimeout: undefined,
    device: { userAgent: "", ipAddress: "" },
    authenticationFactors: [],
    roles: [],
    customClaims: {},
    ...overrides,
  };
}

/** A session with its token. */
export async function storedSession(
  store: Store,
  project: Project,
  overrides: Partial<NewSession> = {},
): Promise<{ session: Session; token: TokenRef }> {
  const token = must(parseSessionToken(newSessionToken(project.tag)));
  const session = must(await store.createSession(newSession(project, overrides), token.hash));
  return { session, token };
}

/** An order to end what `target` names, at {@link start}, not counted. */
export function orderOf(
  project: Project,
  target: RevocationOrder["target"],
  overrides: Partial<RevocationOrder> = {},
): RevocationOrder {
  return {
    projectId: project.id,
    target,
    time: start,
    cause: "logout",
    reason: "",
    actor: "service/test",
    count: false,
    ...overrides,
  };
}
