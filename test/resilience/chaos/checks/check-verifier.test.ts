import { expect, test } from "vitest";
import type { Operation } from "../history.ts";
import type { VerifierObservation } from "../processes/verifier.ts";
import { checkVerifier } from "./check-verifier.ts";

const created: Operation = {
  kind: "creation",
  session: "s",
  member: "m",
  organization: "o",
  createdRevision: 0,
  start: 0,
  end: 1,
};
const ending = { kind: "revocation", scope: "session", target: "s", effective: true, revision: 1 } as const;
const restore: Operation = { kind: "restore", dump: { start: 10, end: 11 }, start: 20, end: 21 };
const recovery: Operation = { kind: "recovery", start: 30, end: 31 };

function accepted(start: number, staleness: number, answeredBy: "verifier" | "server" = "verifier") {
  const verdict = { ok: true, answeredBy, stale: false, claims: {} } as VerifierObservation["verdict"];
  return {
    kind: "verdict",
    id: 1,
    session: "s",
    start,
    end: start + 1,
    before: staleness,
    after: staleness,
    verdict,
  } as const;
}

function problemsOf(
  observation: VerifierObservation,
  history: readonly Operation[],
  received: ReadonlyMap<number, number> = new Map(),
): readonly string[] {
  return checkVerifier({ observations: [observation], maxStaleness: 5, received }, [created, ...history]);
}

const lost: Operation = { ...ending, start: 12, end: 13 };
const held = new Map([[1, 14]]);

test("accepts an acceptance by data from before the revocation returned", () => {
  expect(problemsOf(accepted(14, 4), [lost])).toEqual([]);
});

test("finds an acceptance by data from after the revocation returned", () => {
  expect(problemsOf(accepted(14, 0.5), [lost])).toEqual([
    expect.stringMatching(/its data included revision 1/),
  ]);
});

test("finds an acceptance by data that is too old", () => {
  expect(problemsOf(accepted(14, 6), [])).toEqual([expect.stringMatching(/too old/)]);
});

test("accepts that a verifier that had not received a lost revocation accepts the session", () => {
  expect(problemsOf(accepted(25, 1), [lost, restore])).toEqual([]);
});

test("finds that a verifier accepts what it had received before the restore", () => {
  expect(problemsOf(accepted(25, 1), [lost, restore], held)).toEqual([
    expect.stringMatching(/held revision 1/),
  ]);
  expect(problemsOf(accepted(25, 1, "server"), [lost, restore], held)).toEqual([
    expect.stringMatching(/held revision 1/),
  ]);
});

test("finds that a verifier accepts a session that the restored log revokes with the same revision", () => {
  const again: Operation = { ...ending, start: 22, end: 23 };
  expect(problemsOf(accepted(25, 1), [restore, again])).toEqual([
    expect.stringMatching(/its data included revision 1/),
  ]);
});

test("accepts a session from before the recovery only by data from before it", () => {
  expect(problemsOf(accepted(33, 4), [restore, recovery])).toEqual([]);
  expect(problemsOf(accepted(33, 1), [restore, recovery])).toEqual([
    expect.stringMatching(/before the recovery/),
  ]);
});
