import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { momentOf } from "../../../../src/client/clock.ts";
import { Freshness } from "../../../../src/client/verifier/revocations/freshness.ts";
import {
  OtherHistoryError,
  OutOfStepError,
  RevocationCopy,
} from "../../../../src/client/verifier/revocations/revocation-copy.ts";
import type { StreamMessage } from "../../../../src/client/verifier/revocations/revocation.ts";
import { manualVerifierClock } from "./verifier-clock.ts";

const first = randomUUID();
const second = randomUUID();
const snapshot = { case: "snapshot", value: {} };

function open() {
  const clock = manualVerifierClock();
  const freshness = new Freshness(clock, 5000, () => undefined);
  const copy = new RevocationCopy(freshness);
  const apply = (message: Partial<StreamMessage>) =>
    copy.apply(
      {
        revocations: [],
        revision: 0,
        upToDate: true,
        readOffsetMs: 0,
        position: `at ${message.revision ?? 0}`,
        recoveryIds: [],
        ...message,
      },
      momentOf(clock),
    );
  return { clock, freshness, copy, apply };
}

/** A copy whose first snapshot is complete. */
function complete(revision: number, ...revocations: StreamMessage["revocations"]) {
  const opened = open();
  opened.copy.nextStart();
  opened.apply({ revocations, revision });
  return opened;
}

function sessionRevocation(revision: number, targetId: string) {
  const scope = "session" as const;
  return { revision, scope, targetId, exceptSessionId: undefined, revokedAt: 0, matterUntil: Infinity };
}

function isRevoked(copy: RevocationCopy, sessionId: string): boolean {
  const subject = { sessionId, memberId: "ada", organizationId: undefined, revision: 0 };
  return copy.findRevocation("k1", subject) !== undefined;
}

describe("a snapshot", () => {
  test("accepts nothing before it is complete", () => {
    const { copy, freshness, apply } = open();
    expect(copy.nextStart()).toEqual(snapshot);
    expect(apply({ revocations: [sessionRevocation(4, first)], revision: 4, upToDate: false })).toBe("none");
    expect(copy.index).toBeUndefined();
    expect(freshness.staleness()).toBe(Infinity);
    expect(apply({ revocations: [sessionRevocation(5, second)], revision: 7 })).toBe("first snapshot");
    expect([first, second].map((id) => isRevoked(copy, id))).toEqual([true, true]);
    expect(freshness.staleness()).toBe(0);
    expect(copy.nextStart()).toEqual({ case: "after", value: "at 7" });
  });

  test("that breaks off starts again", () => {
    const { copy, apply } = open();
    copy.nextStart();
    apply({ revocations: [sessionRevocation(4, first)], revision: 4, upToDate: false });
    expect(copy.nextStart()).toEqual(snapshot);
    apply({ revision: 9 });
    expect(isRevoked(copy, first)).toBe(false);
  });

  test("is added to what is known, its revocations at once, and forgets nothing that the database forgot", () => {
    const { copy, clock, freshness, apply } = complete(1, sessionRevocation(1, first));
    copy.requireSnapshot();
    clock.advance(2000);
    expect(copy.nextStart()).toEqual(snapshot);
    apply({ revocations: [sessionRevocation(8, second)], revision: 8, upToDate: false });
    expect([first, second].map((id) => isRevoked(copy, id))).toEqual([true, true]);
    expect(freshness.staleness()).toBe(2000);
    expect(apply({ revision: 9 })).toBe("resynchronised");
    expect([first, second].map((id) => isRevoked(copy, id))).toEqual([true, true]);
    expect(freshness.staleness()).toBe(0);
    expect(copy.nextStart()).toEqual({ case: "after", value: "at 9" });
  });

  test.each([
    ["beyond the copy resumes there", 8, "at 8"],
    ["within the copy resumes after the copy", 4, "at 5"],
  ])("that breaks off %s, so that the server judges the position", (_, revision, position) => {
    const { copy, apply } = complete(5, sessionRevocation(5, first));
    copy.requireSnapshot();
    copy.nextStart();
    apply({ revocations: [sessionRevocation(revision, second)], revision, upToDate: false });
    expect(copy.nextStart()).toEqual({ case: "after", value: position });
    expect(isRevoked(copy, first)).toBe(true);
  });

  test.each([
    ["ends below the copy", { revision: 4 }],
    ["has a new recovery", { revision: 9, recoveryIds: ["r1"] }],
  ])("that %s is one of another history", (_, message) => {
    const { copy, apply } = complete(5, sessionRevocation(5, first));
    copy.requireSnapshot();
    copy.nextStart();
    expect(() => apply(message)).toThrow(OtherHistoryError);
    expect(isRevoked(copy, first)).toBe(true);
  });
});

test("any number of changes of the history adds up, in a bounded number of indexes", () => {
  const { copy, apply } = open();
  const ids = Array.from({ length: 20 }, () => randomUUID());
  for (const id of ids) {
    copy.nextStart();
    const cutoff = { ...sessionRevocation(2, "ada"), scope: "member", revokedAt: Date.now() } as const;
    apply({
      revocations: id === ids[0] ? [sessionRevocation(1, id), cutoff] : [sessionRevocation(1, id)],
      revision: 2,
    });
    expect(copy.changeHistory()).toBe(true);
  }
  expect(copy.sizes).toMatchObject({ sessions: 20, cutoffs: 1 });
  const subjectOf = (sessionId: string, memberId: string) => ({
    sessionId,
    memberId,
    organizationId: undefined,
    revision: 9,
  });
  for (const id of ids) {
    expect(copy.findRevocation("k1", subjectOf(id, "bob"))).toMatchObject({ scope: "session", revision: 1 });
  }
  expect(copy.findRevocation("k1", subjectOf(randomUUID(), "bob"))).toBeUndefined();
  expect(copy.findRevocation("k1", subjectOf(randomUUID(), "ada"))).toMatchObject({ scope: "member" });
  expect(copy.history).toBe("changed");
});

describe("a message that", () => {
  test("continues the log is applied, and proves freshness only if it has caught up", () => {
    const { copy, clock, freshness, apply } = complete(5);
    clock.advance(1000);
    apply({ revocations: [sessionRevocation(6, first)], revision: 6, upToDate: false });
    expect(isRevoked(copy, first)).toBe(true);
    expect(freshness.staleness()).toBe(1000);
    apply({ revision: 6 });
    expect(freshness.staleness()).toBe(0);
  });

  test.each([
    ["skips a revision", { revocations: [sessionRevocation(7, first)], revision: 7 }],
    ["has a gap", { revocations: [sessionRevocation(6, first), sessionRevocation(8, second)], revision: 8 }],
    ["repeats a revision", { revocations: [sessionRevocation(5, first)], revision: 5 }],
    ["names a higher revision than it has", { revision: 6 }],
    ["goes back", { revision: 4 }],
  ])("%s is rejected and changes nothing", (_, message) => {
    const { copy, freshness, clock, apply } = complete(5);
    clock.advance(1000);
    expect(() => apply(message)).toThrow(OutOfStepError);
    expect(freshness.staleness()).toBe(1000);
    expect(copy.index?.revision).toBe(5);
  });
});
