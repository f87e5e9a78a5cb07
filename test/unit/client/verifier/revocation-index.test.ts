import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  RevocationIndex,
  type Subject,
} from "../../../../src/client/verifier/revocations/revocation-index.ts";
import { SparedSessions } from "../../../../src/client/verifier/revocations/spared-sessions.ts";
import type { VerifierRevocation } from "../../../../src/client/verifier/revocations/revocation.ts";

const second = 1000;

function revocation(
  revision: number,
  scope: VerifierRevocation["scope"],
  targetId: string,
  overrides: Partial<VerifierRevocation> = {},
): VerifierRevocation {
  const times = { revokedAt: revision * second, matterUntil: 1000 * second };
  return { revision, scope, targetId, exceptSessionId: undefined, ...times, ...overrides };
}

function subject(overrides: Partial<Subject> = {}): Subject {
  return { sessionId: randomUUID(), memberId: "ada", organizationId: "acme", revision: 0, ...overrides };
}

function indexOf(...revocations: readonly VerifierRevocation[]): RevocationIndex {
  const index = new RevocationIndex();
  for (const each of revocations) index.apply(each);
  return index;
}

describe("a session", () => {
  test("is revoked by its id, at any created revision", () => {
    const dead = subject({ revision: 9 });
    const index = indexOf(revocation(3, "session", dead.sessionId.toUpperCase()));
    expect(index.findRevocation(dead)).toEqual({ scope: "session", revision: 3 });
    expect(index.findRevocation(subject())).toBeUndefined();
  });

  test.each([
    ["member", "ada"],
    ["organization", "acme"],
    ["project", "the-project"],
  ] as const)("is revoked by a cutoff of its %s if it was created before", (scope, target) => {
    const index = indexOf(revocation(5, scope, target));
    expect(index.findRevocation(subject({ revision: 4 }))).toEqual({ scope, revision: 5 });
    expect(index.findRevocation(subject({ revision: 5 }))).toBeUndefined();
    const foreign = subject({ memberId: "bob", organizationId: undefined });
    expect(index.findRevocation(foreign)?.scope).toBe(scope === "project" ? scope : undefined);
  });

  test("is reported with the first cutoff that revoked it", () => {
    const index = indexOf(revocation(5, "organization", "acme"), revocation(7, "member", "ada"));
    expect(index.findRevocation(subject())).toEqual({ scope: "organization", revision: 5 });
    expect(index.findRevocation(subject({ revision: 5 }))).toEqual({ scope: "member", revision: 7 });
  });
});

describe("a spared session", () => {
  const spared = subject({ revision: 2 });
  const sparing = { exceptSessionId: spared.sessionId };

  const spare = (revision: number, memberId = "ada") => revocation(revision, "member", memberId, sparing);
  const hitByMember = revocation(4, "member", "ada");
  const hitByOrganization = revocation(6, "organization", "acme");
  test.each<[string, VerifierRevocation[], Partial<Subject>, object | undefined]>([
    ["stays valid until the next cutoff", [spare(5)], {}, undefined],
    [
      "is revoked by the next cutoff",
      [spare(5), revocation(6, "project", "p")],
      {},
      { scope: "project", revision: 6 },
    ],
    ["stays revoked if it was revoked before", [hitByMember, spare(5)], {}, { scope: "member", revision: 4 }],
    ["is valid if it is newer than the first cutoff", [hitByMember, spare(5)], { revision: 4 }, undefined],
    [
      "is not spared by a cutoff of another member",
      [hitByMember, spare(5, "bob")],
      {},
      { scope: "member", revision: 4 },
    ],
    ...[2, 5].map((revision): [string, VerifierRevocation[], Partial<Subject>, object] => [
      `created at ${revision} stays revoked if another cutoff hit it between two that spare it`,
      [spare(5), hitByOrganization, spare(7)],
      { revision },
      { scope: "organization", revision: 6 },
    ]),
    [
      "is not hit by a cutoff of an organization that it is not in",
      [spare(5), hitByOrganization, spare(7)],
      { organizationId: undefined },
      undefined,
    ],
  ])("%s", (_, revocations, changes, expected) => {
    const index = indexOf(...revocations);
    expect(index.findRevocation({ ...spared, ...changes })).toEqual(expected);
  });

  test("is stored once for consecutive cutoffs of one target", () => {
    const held = new SparedSessions();
    const sparing = { scope: "member", targetId: "ada", beforeRevokedAt: 0, matterUntil: 1 } as const;
    held.add("s", { ...sparing, last: 5, before: 3 });
    held.add("s", { ...sparing, last: 8, before: 5 });
    expect(held.of("s")).toEqual([{ ...sparing, last: 8, before: 3 }]);
    held.add("s", { ...sparing, last: 11, before: 10 });
    expect(held.of("s")).toHaveLength(2);
  });
});

test("a revoked signing key is never forgotten", () => {
  const index = indexOf(revocation(1, "signing_key", "k1", { matterUntil: 10 * second }));
  index.forget(5000 * second);
  expect(index.findKeyRevocation("k1")).toEqual({ scope: "signing_key", revision: 1 });
  expect(index.findKeyRevocation("k2")).toBeUndefined();
});

test("ignores revisions that it has applied already", () => {
  const dead = subject();
  const index = indexOf(revocation(4, "session", dead.sessionId), revocation(3, "member", "ada"));
  expect(index.findRevocation(dead)).toMatchObject({ scope: "session", revision: 4 });
  expect(index.findRevocation(subject())).toBeUndefined();
  expect(index.revision).toBe(4);
});

test("keeps revisions beyond 32 bits exactly", () => {
  const dead = subject();
  const revision = Number.MAX_SAFE_INTEGER - 1;
  expect(indexOf(revocation(revision, "session", dead.sessionId)).findRevocation(dead)).toMatchObject({
    revision,
  });
});

test("rejects a session id that is not a UUID", () => {
  expect(() => indexOf(revocation(1, "session", "no-uuid"))).toThrow(/not a UUID/);
});

describe("forgetting", () => {
  test("drops revocations that no longer matter, and no others", () => {
    const early = Array.from({ length: 2000 }, () => subject());
    const late = Array.from({ length: 2000 }, () => subject());
    const index = new RevocationIndex();
    let revision = 0;
    const add = (scope: VerifierRevocation["scope"], targetId: string, untilSecond: number) =>
      index.apply(revocation(++revision, scope, targetId, { matterUntil: untilSecond * second }));
    for (const { sessionId } of early) add("session", sessionId, 100);
    for (const { sessionId } of late) add("session", sessionId, 200);
    add("member", "eve", 100);
    add("organization", "old", 100);
    add("project", "p", 100);
    const { sessionBytes } = index.sizes;
    for (let i = 0; i < 32; i++) index.forget(150 * second);
    expect(index.sizes).toMatchObject({ sessions: 2000, cutoffs: 0 });
    expect(index.sizes.sessionBytes).toBeLessThan(sessionBytes);
    expect(early.map((each) => index.findRevocation(each))).not.toContainEqual(expect.anything());
    expect(late.every((each) => index.findRevocation(each)?.scope === "session")).toBe(true);
    expect(index.forgottenUntil).toBe(150 * second);
    for (let i = 0; i < 32; i++) index.forget(300 * second);
    expect(index.sizes).toEqual({ sessions: 0, cutoffs: 0, sessionBytes: 0 });
  });

  test("keeps a target until its last revocation no longer matters", () => {
    const dead = subject();
    const index = indexOf(
      revocation(1, "member", "ada", { matterUntil: 300 * second }),
      revocation(2, "member", "ada", { matterUntil: 200 * second }),
      revocation(3, "session", dead.sessionId, { matterUntil: 300 * second }),
      revocation(4, "session", dead.sessionId, { matterUntil: 200 * second }),
    );
    for (let i = 0; i < 32; i++) index.forget(250 * second);
    expect(index.findRevocation(subject())).toMatchObject({ revision: 2 });
    expect(index.findRevocation(dead)).toMatchObject({ scope: "session", revision: 3 });
  });
});

/** Model of the server without cutoffs: every revocation marks each session. */
interface ModelSession {
  readonly id: string;
  readonly memberId: string;
  readonly organizationId: string | undefined;
  createdRevision: number;
  dead: boolean;
}

const members = ["ada", "bob"];
const organizations = [undefined, "acme", "umbrella"];
const number = fc.nat(1000);
const cutoff = fc.constantFrom("member", "organization", "project");
const kind = fc.oneof(fc.constant("create"), fc.constant("sign"), fc.constant("end"), cutoff);
const commands = fc.array(fc.record({ kind, a: number, b: number }), { maxLength: 40, size: "max" });

test("rejects a JWT if and only if its session is revoked, after any sequence of revocations and exemptions", () => {
  fc.assert(
    fc.property(commands, (script) => {
      const index = new RevocationIndex();
      const sessions: ModelSession[] = [];
      const jwts: { readonly session: ModelSession; readonly subject: Subject }[] = [];
      let revision = 0;
      const sign = (session: ModelSession | undefined) => {
        if (session === undefined || session.dead) return;
        const { id: sessionId, memberId, organizationId, createdRevision } = session;
        jwts.push({ session, subject: { sessionId, memberId, organizationId, revision: createdRevision } });
      };
      const cutOff = (scope: "member" | "organization" | "project", targetId: string, except: string) => {
        revision++;
        for (const session of sessions) {
          const hit =
            scope === "project" ||
            (scope === "member" ? session.memberId : session.organizationId) === targetId;
          if (!hit || session.dead) continue;
          if (session.id === except) session.createdRevision = revision;
          else session.dead = true;
        }
        const exceptSessionId = except === "" ? undefined : except;
        index.apply(revocation(revision, scope, targetId, { exceptSessionId }));
      };
      for (const { kind, a, b } of script) {
        const session = sessions[a % Math.max(1, sessions.length)];
        const except = b % 3 === 0 ? "" : (session?.id ?? "");
        switch (kind) {
          case "create": {
            const organizationId = organizations[b % organizations.length];
            const memberId = members[a % members.length] ?? "ada";
            const session = { id: randomUUID(), memberId, organizationId };
            sessions.push({ ...session, createdRevision: revision, dead: false });
            sign(sessions.at(-1));
            break;
          }
          case "sign":
            sign(session);
            break;
          case "end":
            if (session === undefined) break;
            index.apply(revocation(++revision, "session", session.id));
            session.dead = true;
            break;
          case "member":
            // The spared session need not belong to the member.
            cutOff("member", members[b % members.length] ?? "ada", except);
            break;
          case "organization":
            cutOff("organization", organizations[1 + (b % 2)] ?? "acme", except);
            break;
          default:
            cutOff("project", "p", except);
        }
      }
      for (const { session, subject } of jwts) {
        expect(index.findRevocation(subject) !== undefined, JSON.stringify(subject)).toBe(session.dead);
      }
    }),
    { numRuns: 3000 },
  );
});
