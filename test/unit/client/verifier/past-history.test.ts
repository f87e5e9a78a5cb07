import { v4, v7 } from "uuid";
import { describe, expect, test } from "vitest";
import { findPastRevocation } from "../../../../src/client/verifier/revocations/past-history.ts";
import { RevocationIndex } from "../../../../src/client/verifier/revocations/revocation-index.ts";
import type { VerifierRevocation } from "../../../../src/client/verifier/revocations/revocation.ts";

/** Any time. Times of tests are in seconds after it. */
const start = Date.UTC(2026, 0, 1);

function at(second: number): number {
  return start + second * 1000;
}

function sessionId(second: number): string {
  return v7({ msecs: at(second) });
}

/** A revocation whose revision is its time in seconds. */
function revocation(
  second: number,
  scope: VerifierRevocation["scope"],
  targetId: string,
  exceptSessionId?: string,
): VerifierRevocation {
  return {
    revision: second,
    scope,
    targetId,
    exceptSessionId,
    revokedAt: at(second),
    matterUntil: at(second + 400),
  };
}

/** Looks up a session of member ada and organization acme. Its revision is one of the newer log and higher than all. */
function find(id: string, ...revocations: readonly VerifierRevocation[]) {
  const past = new RevocationIndex();
  for (const each of revocations) past.apply(each);
  const subject = { sessionId: id, memberId: "ada", organizationId: "acme", revision: 1_000_000 };
  return findPastRevocation(past, subject);
}

test("a session whose id is held is refused, at any age", () => {
  const id = sessionId(500);
  expect(find(id, revocation(100, "session", id))).toEqual({ scope: "session", revision: 100 });
  expect(find(sessionId(1), revocation(100, "session", id))).toBeUndefined();
});

describe.each([
  ["member", "ada"],
  ["organization", "acme"],
  ["project", "p"],
] as const)("a cutoff of the %s", (scope, targetId) => {
  test.each([
    [99, true],
    [129.999, true],
    [130, false],
  ])("at second 100 concerns a session of second %d: %s", (second, isRefused) => {
    const found = find(sessionId(second), revocation(100, scope, targetId));
    expect(found).toEqual(isRefused ? { scope, revision: 100 } : undefined);
  });

  test("leaves an exempted session alone, and no other", () => {
    const spared = sessionId(50);
    const cutoff = revocation(100, scope, targetId, spared);
    expect(find(spared, cutoff)).toBeUndefined();
    expect(find(sessionId(50), cutoff)).toEqual({ scope, revision: 100 });
  });
});

test("a cutoff of another target concerns no session", () => {
  const cutoffs = [revocation(100, "member", "bob"), revocation(101, "organization", "umbrella")];
  expect(find(sessionId(1), ...cutoffs)).toBeUndefined();
});

test.each<[string, number, boolean, (id: string) => VerifierRevocation[]]>([
  ["by the next cutoff", 50, true, (id) => [spare(100, id), revocation(101, "project", "p")]],
  [
    "by a cutoff before that it is older than",
    50,
    true,
    (id) => [revocation(90, "member", "ada"), spare(100, id)],
  ],
  [
    "by a cutoff before that it is newer than",
    95,
    false,
    (id) => [revocation(90, "member", "ada"), spare(100, id)],
  ],
  ["by an earlier cutoff of the project", 50, true, (id) => [revocation(90, "project", "p"), spare(100, id)]],
  ["by cutoffs that all exempt it", 50, false, (id) => [spare(100, id), spare(110, id)]],
  [
    "by a cutoff between two that exempt it",
    50,
    true,
    (id) => [spare(100, id), revocation(140, "organization", "acme"), spare(150, id)],
  ],
])("an exempted session is revoked %s: created at second %d, %s", (_, second, isRefused, revocations) => {
  const id = sessionId(second);
  expect(find(id, ...revocations(id)) !== undefined).toBe(isRefused);
});

function spare(second: number, id: string): VerifierRevocation {
  return revocation(second, "member", "ada", id);
}

test("a session whose id has no time is older than every cutoff", () => {
  expect(find(v4(), revocation(100, "project", "p"))).toEqual({ scope: "project", revision: 100 });
  expect(find(v4())).toBeUndefined();
});

test("the time of a cutoff never goes back with a later one", () => {
  const later = { ...revocation(101, "member", "ada"), revokedAt: at(40) };
  expect(find(sessionId(120), revocation(100, "member", "ada"), later)).toMatchObject({ scope: "member" });
});
