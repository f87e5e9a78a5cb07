import { expect, test } from "vitest";
import { checkHistory } from "./check-history.ts";
import type { Creation, Observation, Operation, Revocation } from "../history.ts";

const creation = (
  start: number,
  end: number,
  createdRevision = 0,
  overrides: Partial<Creation> = {},
): Creation => ({
  kind: "creation",
  session: "s",
  member: "m",
  organization: "o",
  createdRevision,
  start,
  end,
  ...overrides,
});

const observation = (
  start: number,
  end: number,
  saw: Observation["saw"],
  revokedBy?: number,
): Observation => ({
  kind: "observation",
  session: "s",
  by: "token",
  saw,
  start,
  end,
  ...(revokedBy === undefined ? {} : { revokedBy }),
});

const revocation = (
  start: number,
  end: number,
  revision: number | undefined,
  overrides: Partial<Revocation> = {},
): Revocation => ({
  kind: "revocation",
  scope: "session",
  target: "s",
  effective: true,
  start,
  end,
  ...(revision === undefined ? {} : { revision }),
  ...overrides,
});

const member = { scope: "member", target: "m" } as const;
const project = { scope: "project", target: "" } as const;
const sparing = { ...member, except: "s" } as const;

const created = creation(0, 1);
const revoked = revocation(2, 3, 1);
const spared = revocation(2, 3, 1, sparing);
const alive = observation(4, 5, "alive");
const dead = observation(4, 5, "dead", 1);
const early = creation(0, 4, 0);
const cutoff = revocation(1, 3, 1, project);

const valid: Record<string, readonly Operation[]> = {
  "alive, revoked, dead": [created, observation(2, 3, "alive"), revocation(3.5, 3.8, 1), dead],
  "alive or dead during the revocation": [
    created,
    revocation(2, 9, 1),
    observation(3, 4, "dead", 1),
    observation(5, 6, "alive"),
  ],
  "alive in a call that began before the revocation returned": [
    created,
    revocation(2, 4, 1),
    observation(3, 9, "alive"),
  ],
  "spared by a cutoff": [created, spared, alive],
  "created after a cutoff": [revocation(0, 1, 1, member), creation(2, 3, 1), alive],
  "a concurrent login that read the earlier revision": [cutoff, early, observation(5, 6, "dead", 1)],
  "a concurrent login that read the later revision": [cutoff, creation(0, 4, 1), observation(5, 6, "alive")],
  "dead by a revocation with an unknown outcome": [
    created,
    revocation(2, Infinity, undefined, member),
    observation(3, 4, "alive"),
    observation(5, 6, "dead", 7),
  ],
  "alive after a revocation of another member": [
    created,
    revocation(2, 3, 1, { scope: "member", target: "other" }),
    alive,
  ],
  "revoked twice, answered with the first": [
    created,
    revocation(2, 3, 1, member),
    revocation(4, 5, 1, { effective: false }),
  ],
  "revisions of overlapping revocations": [revocation(0, 5, 2, member), revocation(1, 4, 1, project)],
};

test.each(Object.entries(valid))("accepts: %s", (_, history) => {
  expect(checkHistory(history)).toEqual([]);
});

const invalid: Record<string, Record<string, readonly Operation[]>> = {
  "alive after its revocation": {
    "by id": [created, revoked, alive],
    "by member": [created, revocation(2, 3, 1, member), alive],
    "of its organization, which spared another": [
      created,
      revocation(2, 3, 1, { scope: "organization", target: "o", except: "other" }),
      alive,
    ],
    "of its project": [created, revocation(2, 3, 1, project), alive],
    "alive again after it was seen dead": [created, revoked, dead, observation(6, 7, "alive")],
    "spared by one cutoff, included in the next": [
      created,
      spared,
      revocation(4, 5, 2, member),
      observation(6, 7, "alive"),
    ],
    "a concurrent login that read the revision before the cutoff": [
      early,
      cutoff,
      observation(5, 6, "alive"),
    ],
  },
  "dead before any revocation": {
    "never revoked": [created, observation(2, 3, "dead")],
    "revoked later": [created, observation(2, 3, "dead"), revocation(4, 5, 1)],
    "by a cutoff that had returned before it was created": [
      revocation(0, 1, 1, member),
      creation(2, 3, 1),
      dead,
    ],
    "by a cutoff that spared it": [created, spared, dead],
  },
  "acknowledged session is missing": { lost: [created, observation(2, 3, "missing")] },
  "wrong revision blamed": {
    "of another revocation": [created, revoked, observation(4, 5, "dead", 9)],
    "in a receipt": [created, revoked, revocation(4, 5, 2, { effective: false })],
  },
  "created before a revocation that had returned": {
    "a stale revision": [revocation(0, 1, 5, member), creation(2, 3, 4)],
  },
  "created after a revocation that had not begun": {
    "a future revision": [creation(0, 1, 5), revocation(2, 3, 5, member)],
  },
  "revision given twice": { "two cutoffs": [revocation(0, 5, 1, member), revocation(1, 4, 1, project)] },
  "revisions against real time": {
    "the later one has the smaller": [revocation(0, 1, 2, member), revocation(2, 3, 1, project)],
  },
};
const cases = Object.entries(invalid).flatMap(([rule, histories]) =>
  Object.entries(histories).map(([name, history]) => ({ rule, name, history })),
);

test.each(cases)("finds: $rule, $name", ({ rule, history }) => {
  expect(checkHistory(history).map((violation) => violation.rule)).toContain(rule);
});

test("a violation shows its operations", () => {
  expect(checkHistory([created, revoked, alive])).toEqual([
    { rule: "alive after its revocation", operations: [alive, revoked, created] },
  ]);
});

/** The backup is made at 10 to 11, and restored at 20 to 21; `sessiond recover` runs at 30 to 31. */
const restore: Operation = { kind: "restore", dump: { start: 10, end: 11 }, start: 20, end: 21 };
const recovery: Operation = { kind: "recovery", start: 30, end: 31 };
const lost = revocation(12, 13, 1);

const validRestores: Record<string, readonly Operation[]> = {
  "alive again, because its revocation is not in the backup": [created, lost, observation(22, 23, "alive")],
  "missing, because it was created after the backup": [creation(12, 13), observation(22, 23, "missing")],
  "a revision given again": [created, lost, revocation(22, 23, 1, { target: "other" })],
  "a revision from before the restore in a later session": [
    revocation(12, 13, 7, member),
    creation(22, 23, 1),
    observation(24, 25, "alive"),
  ],
  "dead by the recovery": [created, recovery, observation(32, 33, "dead", 9)],
  "created after the recovery": [recovery, creation(32, 33, 9), observation(34, 35, "alive")],
};

test.each(Object.entries(validRestores))("accepts after a restore: %s", (_, history) => {
  expect(checkHistory([restore, ...history])).toEqual([]);
});

const invalidRestores: Record<string, readonly Operation[]> = {
  "alive after its revocation": [created, revocation(2, 3, 1), observation(22, 23, "alive")],
  "acknowledged session is missing": [created, observation(22, 23, "missing")],
  "alive after the recovery": [created, recovery, observation(32, 33, "alive")],
  "dead before any revocation": [creation(22, 23), observation(24, 25, "dead")],
  "revision given twice": [revocation(22, 23, 1, member), revocation(22, 24, 1, project)],
};

test.each(Object.entries(invalidRestores))("finds after a restore: %s", (rule, history) => {
  expect(checkHistory([restore, ...history]).map((violation) => violation.rule)).toContain(rule);
});

test("finds a session that a cutoff of the restored log spares because of its greater revision", () => {
  const history = [creation(12, 13, 13), revocation(22, 23, 9, project), observation(24, 25, "alive")];
  expect(checkHistory([restore, ...history])).toMatchObject([{ rule: "alive after its revocation" }]);
});
