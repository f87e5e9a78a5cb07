import { expect, test } from "vitest";
import {
  type MemberCaller,
  type ServiceCaller,
  actorOf,
  hasGrant,
  mayReach,
} from "../../../../src/domain/use-cases/caller.ts";
import { newCredentialId } from "../../../../src/domain/ids.ts";
import { defaultPolicy } from "../../../../src/domain/policy.ts";
import { memberId, newProject, newSession, organizationId, start } from "../../../support/fixtures/stored.ts";

const policy = {
  ...defaultPolicy,
  roleGrants: [{ role: "reader", permissions: ["sessions.read"] as const }],
};
const project = newProject({ policy });
const [acme, evil] = [organizationId("acme"), organizationId("evil")];
const [ada, bob] = [memberId("ada"), memberId("bob")];

const service: ServiceCaller = {
  kind: "service",
  project,
  credential: {
    projectId: project.id,
    id: newCredentialId(),
    displayName: "",
    permissions: [],
    createTime: start,
    disableTime: undefined,
  },
};

function member(organization: typeof acme | undefined, roles: readonly string[]): MemberCaller {
  const session = newSession(project, { memberId: ada, organizationId: organization, roles });
  return { kind: "member", project, session: { ...session, createdRevision: 0, revocation: undefined } };
}

test.for([
  ["a service reaches every session", service, { memberId: bob, organizationId: evil }, true, true],
  ["their own", member(acme, []), { memberId: ada, organizationId: acme }, true, true],
  [
    "their own in another organization",
    member(acme, []),
    { memberId: ada, organizationId: evil },
    true,
    true,
  ],
  ["another member", member(acme, []), { memberId: bob, organizationId: acme }, false, false],
  ["with a grant to read", member(acme, ["reader"]), { memberId: bob, organizationId: acme }, true, false],
  [
    "with one role of several",
    member(acme, ["x", "reader"]),
    { memberId: bob, organizationId: acme },
    true,
    false,
  ],
  ["with another role", member(acme, ["writer"]), { memberId: bob, organizationId: acme }, false, false],
  [
    "in another organization",
    member(acme, ["reader"]),
    { memberId: bob, organizationId: evil },
    false,
    false,
  ],
  [
    "a member without an organization",
    member(acme, ["reader"]),
    { memberId: bob, organizationId: undefined },
    false,
    false,
  ],
  [
    "a caller without an organization",
    member(undefined, ["reader"]),
    { memberId: bob, organizationId: acme },
    false,
    false,
  ],
  [
    "caller and member without an organization",
    member(undefined, ["reader"]),
    { memberId: bob, organizationId: undefined },
    false,
    false,
  ],
] as const)("%s", ([, caller, target, reads, revokes]) => {
  expect(mayReach(caller, target, "sessions.read")).toBe(reads);
  expect(mayReach(caller, target, "sessions.revoke")).toBe(revokes);
});

test("a role grants only the permission that the policy names", () => {
  expect(hasGrant(member(acme, ["reader"]), "sessions.read")).toBe(true);
  expect(hasGrant(member(acme, ["reader"]), "sessions.revoke")).toBe(false);
  expect(hasGrant(member(acme, []), "sessions.read")).toBe(false);
});

test("the log names services by credential and end users by member", () => {
  expect(actorOf(service)).toBe(`service/${service.credential.id}`);
  expect(actorOf(member(acme, []))).toBe("member/ada");
});
