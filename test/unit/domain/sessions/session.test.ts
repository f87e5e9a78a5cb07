import { expect, test } from "vitest";
import { idleExpireTimeOf, isAccessDue, stateOf } from "../../../../src/domain/sessions/session.ts";
import { at, newProject, newSession } from "../../../support/fixtures/stored.ts";

const why = { cause: "logout", reason: "", actor: "member/ada", actingUser: undefined } as const;
const revocation = { revision: 1, time: at(0), scope: "session", ...why } as const;

function session(overrides: Parameters<typeof newSession>[1] & { revocation?: typeof revocation }) {
  return { ...newSession(newProject()), createdRevision: 0, revocation: undefined, ...overrides };
}

test.for([
  ["no idle timeout, before the end", {}, 999, "active"],
  ["at the end", {}, 1000, "expired"],
  ["after the end", {}, 5000, "expired"],
  ["used just in time", { idleTimeout: 100 }, 99, "active"],
  ["idle for the whole timeout", { idleTimeout: 100 }, 100, "idle_expired"],
  ["idle and past the end", { idleTimeout: 100 }, 1000, "expired"],
  ["used later", { idleTimeout: 100, lastAccessTime: at(50) }, 149, "active"],
  ["revoked", { revocation }, 0, "revoked"],
  ["revoked and past the end", { revocation, idleTimeout: 1 }, 9999, "revoked"],
] as const)("%s", ([, overrides, now, state]) => {
  expect(stateOf(session({ expireTime: at(1000), ...overrides }), at(now))).toBe(state);
});

test("the idle timeout runs from the last access", () => {
  expect(idleExpireTimeOf(session({}))).toBeUndefined();
  expect(idleExpireTimeOf(session({ idleTimeout: 7, lastAccessTime: at(3) }))).toEqual(at(10));
});

test.for([
  [undefined, 59_999, false],
  [undefined, 60_000, true],
  [3_600_000, 59_999, false],
  [3_600_000, 60_000, true],
  [10_000, 999, false],
  [10_000, 1000, true],
  [undefined, -5000, false],
] as const)(
  "with an idle timeout of %s ms, an access after %s ms is recorded: %s",
  ([idleTimeout, after, due]) => {
    expect(isAccessDue(session({ idleTimeout }), at(after))).toBe(due);
  },
);
