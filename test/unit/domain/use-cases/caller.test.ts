import { expect, test } from "vitest";
import { type MemberCaller, actorOf, mayReach } from "../../../../src/domain/use-cases/caller.ts";
import { defaultPolicy } from "../../../../src/domain/policy.ts";
import { serviceOf } from "../../../support/fixtures/deployment.ts";
import { memberId, newProject, newSession, organizationId } from "../../../support/fixtures/stored.ts";

const roleGrants = [{ role: "reader", permissions: ["sessions.read"] as const }];
const project = newProject({ policy: { ...defaultPolicy, roleGrants } });
const [acme, evil] = [organizationId("acme"), organizationId("evil")];
const [ada, bob] = [memberId("ada"), memberId("bob")];

const service = serviceOf(project);

function member(organization: typeof acme | undefined, roles: readonly string[]): MemberCaller {
  const session = newSession(project, { memberId: ada, organizationId: organization, roles });
  return { kind: "member", project, session: { ...session, createdRevision: 0, revocation: undefined } };
}

const adas = (organization: typeof acme) => ({ memberId: ada, organizationId: organization });
const bobs = (organization?: typeof acme) => ({ memberId: bob, organizationId: organization });

test.for([
  ["a service reaches every session", service, bobs(evil), true, true],
  ["their own", member(acme, []), adas(acme), true, true],
  ["their own in another organization", member(acme, []), adas(evil), true, true],
  ["another member", member(acme, []), bobs(acme), false, false],
  ["with a grant to read", member(acme, ["reader"]), bobs(acme), true, false],
  ["with one role of several", member(acme, ["x", "reader"]), bobs(acme), true, false],
  ["with another role", member(acme, ["writer"]), bobs(acme), false, false],
  ["in another organization", member(acme, ["reader"]), bobs(evil), false, false],
  ["a member without an organization", member(acme, ["reader"]), bobs(), false, false],
  ["a caller without an organization", member(undefined, ["reader"]), bobs(acme), false, false],
  ["caller and member without an organization", member(undefined, ["reader"]), bobs(), false, false],
] as const)("%s", ([, caller, target, reads, revokes]) => {
  expect(mayReach(caller, target, "sessions.read")).toBe(reads);
  expect(mayReach(caller, target, "sessions.revoke")).toBe(revokes);
});

test("the log names services by credential and end users by member", () => {
  expect(actorOf(service)).toBe(`service/${service.credential.id}`);
  expect(actorOf(member(acme, []))).toBe("member/ada");
});
