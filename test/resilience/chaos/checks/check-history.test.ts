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

const good: Record<string, readonly Operation[]> = {
  "alive, revoked, dead": [
    creation(0, 1),
    observation(2, 3, "alive"),
    revocation(4, 5, 1),
    observation(6, 7, "dead", 1),
  ],
  "either way while it is being revoked": [
    creation(0, 1),
    revocation(2, 9, 1),
    observation(3, 4, "dead", 1),
    observation(5, 6, "alive"),
  ],
  "alive in an answer that was asked for before the revocation returned": [
    creation(0, 1),
    revocation(2, 4, 1),
    observation(3, 9, "alive"),
  ],
  "spared by a cutoff": [
    creation(0, 1),
    revocation(2, 3, 1, { ...member, except: "s" }),
    observation(4, 5, "alive"),
  ],
  "created after a cutoff": [revocation(0, 1, 1, member), creation(2, 3, 1), observation(4, 5, "alive")],
  "a login in flight that read the revision before": [
    revocation(1, 3, 1, project),
    creation(0, 4, 0),
    observation(5, 6, "dead", 1),
  ],
  "a login in flight that read it after": [
    revocation(1, 3, 1, project),
    creation(0, 4, 1),
    observation(5, 6, "alive"),
  ],
  "dead by a revocation with an unknown outcome": [
    creation(0, 1),
    revocation(2, Infinity, undefined, member),
    observation(3, 4, "alive"),
    observation(5, 6, "dead", 7),
  ],
  "alive after a revocation of another member": [
    creation(0, 1),
    revocation(2, 3, 1, { scope: "member", target: "other" }),
    observation(4, 5, "alive"),
  ],
  "revoked twice, answered with the first": [
    creation(0, 1),
    revocation(2, 3, 1, member),
    revocation(4, 5, 1, { effective: false }),
  ],
  "revisions of revocations that overlapped": [revocation(0, 5, 2, member), revocation(1, 4, 1, project)],
};

test.each(Object.entries(good))("holds: %s", (_, history) => {
  expect(checkHistory(history)).toEqual([]);
});

const bad: readonly (readonly [rule: string, name: string, history: readonly Operation[]])[] = [
  ["alive after its revocation", "by id", [creation(0, 1), revocation(2, 3, 1), observation(4, 5, "alive")]],
  [
    "alive after its revocation",
    "by member",
    [creation(0, 1), revocation(2, 3, 1, member), observation(4, 5, "alive")],
  ],
  [
    "alive after its revocation",
    "of its organization, which spared another",
    [
      creation(0, 1),
      revocation(2, 3, 1, { scope: "organization", target: "o", except: "other" }),
      observation(4, 5, "alive"),
    ],
  ],
  [
    "alive after its revocation",
    "of its project",
    [creation(0, 1), revocation(2, 3, 1, project), observation(4, 5, "alive")],
  ],
  [
    "alive after its revocation",
    "alive again after it was seen dead",
    [creation(0, 1), revocation(2, 3, 1), observation(4, 5, "dead", 1), observation(6, 7, "alive")],
  ],
  [
    "alive after its revocation",
    "spared by one cutoff, reached by the next",
    [
      creation(0, 1),
      revocation(2, 3, 1, { ...member, except: "s" }),
      revocation(4, 5, 2, member),
      observation(6, 7, "alive"),
    ],
  ],
  [
    "alive after its revocation",
    "a login in flight that read the revision before the cutoff",
    [creation(0, 4, 0), revocation(1, 3, 1, project), observation(5, 6, "alive")],
  ],
  ["dead before any revocation", "never revoked", [creation(0, 1), observation(2, 3, "dead")]],
  [
    "dead before any revocation",
    "revoked later",
    [creation(0, 1), observation(2, 3, "dead"), revocation(4, 5, 1)],
  ],
  [
    "dead before any revocation",
    "by a cutoff that had returned before it was created",
    [revocation(0, 1, 1, member), creation(2, 3, 1), observation(4, 5, "dead", 1)],
  ],
  [
    "dead before any revocation",
    "by a cutoff that spared it",
    [creation(0, 1), revocation(2, 3, 1, { ...member, except: "s" }), observation(4, 5, "dead", 1)],
  ],
  ["acknowledged session is missing", "lost", [creation(0, 1), observation(2, 3, "missing")]],
  [
    "wrong revision blamed",
    "of a revocation elsewhere",
    [creation(0, 1), revocation(2, 3, 1), observation(4, 5, "dead", 9)],
  ],
  [
    "wrong revision blamed",
    "in a receipt",
    [creation(0, 1), revocation(2, 3, 1), revocation(4, 5, 2, { effective: false })],
  ],
  [
    "created before a revocation that had returned",
    "a stale revision",
    [revocation(0, 1, 5, member), creation(2, 3, 4)],
  ],
  [
    "created after a revocation that had not begun",
    "a revision from the future",
    [creation(0, 1, 5), revocation(2, 3, 5, member)],
  ],
  ["revision given twice", "two cutoffs", [revocation(0, 5, 1, member), revocation(1, 4, 1, project)]],
  [
    "revisions against real time",
    "the later one has the lesser",
    [revocation(0, 1, 2, member), revocation(2, 3, 1, project)],
  ],
];

test.each(bad)("catches: %s, %s", (rule, _, history) => {
  expect(checkHistory(history).map((violation) => violation.rule)).toContain(rule);
});

test("a violation shows its operations", () => {
  const operations = [creation(0, 1), revocation(2, 3, 1), observation(4, 5, "alive")] as const;
  expect(checkHistory(operations)).toEqual([
    { rule: "alive after its revocation", operations: [operations[2], operations[1], operations[0]] },
  ]);
});
