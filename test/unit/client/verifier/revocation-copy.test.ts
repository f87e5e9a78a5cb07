import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { momentOf } from "../../../../src/client/verifier/stream/clock.ts";
import { Freshness } from "../../../../src/client/verifier/stream/freshness.ts";
import {
  OutOfStepError,
  RevocationCopy,
  type StreamMessage,
} from "../../../../src/client/verifier/revocations/revocation-copy.ts";
import { manualVerifierClock } from "./verifier-clock.ts";

const first = randomUUID();
const second = randomUUID();

function open() {
  const clock = manualVerifierClock();
  const freshness = new Freshness(clock);
  const copy = new RevocationCopy(freshness);
  const receive = (message: Partial<StreamMessage>) =>
    copy.receive({ revocations: [], revision: 0, caughtUp: true, elapsed: 0, ...message }, momentOf(clock));
  return { clock, freshness, copy, receive };
}

function ended(revision: number, targetId: string) {
  const scope = "session" as const;
  return { revision, scope, targetId, exceptSessionId: undefined, matterUntil: Infinity };
}

function isEnded(copy: RevocationCopy, sessionId: string): boolean {
  const subject = { sessionId, memberId: "ada", organizationId: undefined, revision: 0 };
  return copy.index?.endingOf(subject) !== undefined;
}

describe("a snapshot", () => {
  test("is nothing until it is whole", () => {
    const { copy, freshness, receive } = open();
    expect(copy.begin()).toBe("snapshot");
    expect(receive({ revocations: [ended(4, first)], revision: 4, caughtUp: false })).toBe("none");
    expect(copy.index).toBeUndefined();
    expect(freshness.staleness()).toBe(Infinity);
    expect(receive({ revocations: [ended(5, second)], revision: 7 })).toBe("first snapshot");
    expect([first, second].map((id) => isEnded(copy, id))).toEqual([true, true]);
    expect(freshness.staleness()).toBe(0);
    expect(copy.begin()).toEqual({ afterRevision: 7 });
  });

  test("that breaks off begins again", () => {
    const { copy, receive } = open();
    copy.begin();
    receive({ revocations: [ended(4, first)], revision: 4, caughtUp: false });
    expect(copy.begin()).toBe("snapshot");
    receive({ revision: 9 });
    expect(isEnded(copy, first)).toBe(false);
  });

  test("takes the place of what was held only when it is whole, and what it brings is heeded before", () => {
    const { copy, clock, freshness, receive } = open();
    copy.begin();
    receive({ revocations: [ended(1, first)], revision: 1 });
    copy.fallOut();
    clock.advance(2000);
    expect(copy.begin()).toBe("snapshot");
    receive({ revocations: [ended(8, second)], revision: 8, caughtUp: false });
    expect([first, second].map((id) => isEnded(copy, id))).toEqual([true, true]);
    expect(freshness.staleness()).toBe(2000);
    expect(receive({ revision: 9 })).toBe("resynchronised");
    expect([first, second].map((id) => isEnded(copy, id))).toEqual([false, true]);
    expect(freshness.staleness()).toBe(0);
  });

  test("that breaks off while something is held leaves that as it is, and begins again", () => {
    const { copy, receive } = open();
    copy.begin();
    receive({ revocations: [ended(1, first)], revision: 1 });
    copy.fallOut();
    copy.begin();
    receive({ revocations: [ended(8, second)], revision: 8, caughtUp: false });
    expect(copy.begin()).toBe("snapshot");
    expect([first, second].map((id) => isEnded(copy, id))).toEqual([true, true]);
  });
});

describe("a message that", () => {
  const following = () => {
    const opened = open();
    opened.copy.begin();
    opened.receive({ revision: 5 });
    return opened;
  };

  test("goes on is taken in, and proves freshness only when it has caught up", () => {
    const { copy, clock, freshness, receive } = following();
    clock.advance(1000);
    receive({ revocations: [ended(6, first)], revision: 6, caughtUp: false });
    expect(isEnded(copy, first)).toBe(true);
    expect(freshness.staleness()).toBe(1000);
    receive({ revision: 6 });
    expect(freshness.staleness()).toBe(0);
  });

  test.each([
    ["skips a revision", { revocations: [ended(7, first)], revision: 7 }],
    ["has a hole", { revocations: [ended(6, first), ended(8, second)], revision: 8 }],
    ["repeats one", { revocations: [ended(5, first)], revision: 5 }],
    ["says that more was sent than was", { revision: 6 }],
    ["goes back", { revision: 4 }],
  ])("%s is out of step, and changes nothing", (_, message) => {
    const { copy, freshness, clock, receive } = following();
    clock.advance(1000);
    expect(() => receive(message)).toThrow(OutOfStepError);
    expect(freshness.staleness()).toBe(1000);
    expect(copy.index?.revision).toBe(5);
  });
});
