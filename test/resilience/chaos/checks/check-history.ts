import { Histories } from "./histories.ts";
import { RevisionOrder, RevocationIndex, revisionOf } from "./revocation-index.ts";
import type { Creation, Observation, Operation, Revocation, Span } from "../history.ts";

/** A broken rule, with the operations that show it. */
export interface Violation {
  readonly rule:
    | "alive after its revocation"
    | "alive after the recovery"
    | "dead before any revocation"
    | "acknowledged session is missing"
    | "wrong revision blamed"
    | "created before a revocation that had returned"
    | "created after a revocation that had not begun"
    | "revision given twice"
    | "revisions against real time";
  readonly operations: readonly Operation[];
}

/** Checks a history. Operations may be in any order. */
export function checkHistory(history: readonly Operation[]): readonly Violation[] {
  const histories = new Histories(history);
  const revocations = history.filter((operation) => operation.kind === "revocation");
  const effective = revocations.filter((revocation) => revocation.effective);
  const creations = history.filter((operation) => operation.kind === "creation");
  const index = new RevocationIndex(effective, creations, histories);
  const sessions = new Map(creations.map((creation) => [creation.session, creation]));
  const states = history.flatMap((operation) => {
    if (operation.kind === "observation") {
      const creation = sessions.get(operation.session);
      return creation === undefined
        ? []
        : checkObservation(operation, creation, index.of(creation), histories);
    }
    if (operation.kind !== "revocation" || operation.scope !== "session" || operation.effective) return [];
    const creation = sessions.get(operation.target);
    return creation === undefined ? [] : checkRepeated(operation, creation, index.of(creation), histories);
  });
  return [...states, ...checkRevisions(effective, creations, histories)];
}

/** Checks the revisions of each history by itself. */
function checkRevisions(
  effective: readonly Revocation[],
  creations: readonly Creation[],
  histories: Histories,
): readonly Violation[] {
  const known = Map.groupBy(
    effective.filter(({ revision }) => revision !== undefined),
    (revocation) => histories.numberOf(revocation),
  );
  const orders = [...known].map(([number, revocations]) => ({
    number,
    revocations,
    order: new RevisionOrder(revocations),
  }));
  return orders
    .filter(({ number }) => number !== undefined)
    .flatMap(({ number, revocations, order }) => [
      ...creations
        .filter((creation) => histories.numberOf(creation) === number)
        .flatMap((creation) => checkCreation(creation, order)),
      ...checkUnique(revocations),
      ...checkOrder(revocations, order),
    ]);
}

function checkObservation(
  observation: Observation,
  creation: Creation,
  revocations: readonly Revocation[],
  histories: Histories,
): readonly Violation[] {
  const violation = (rule: Violation["rule"], ...others: readonly Operation[]): readonly Violation[] => [
    { rule, operations: [observation, ...others, creation] },
  ];
  switch (observation.saw) {
    case "missing": {
      // The recovery revokes the keys of earlier JWTs.
      if (isRecovered(observation, creation, histories)) return [];
      const isKept = histories.isBeforeRestore(observation.end);
      return isKept || histories.fateOf(creation) === "kept"
        ? violation("acknowledged session is missing")
        : [];
    }
    case "alive": {
      if (histories.hasRecovered(observation.start) && histories.isOlderThanRecovery(creation)) {
        return violation("alive after the recovery");
      }
      const revocation = revocations.find(
        (revocation) =>
          revocation.end < observation.start &&
          (histories.isBeforeRestore(observation.end) || histories.fateOf(revocation) === "kept"),
      );
      return revocation === undefined ? [] : violation("alive after its revocation", revocation);
    }
    case "dead": {
      if (isRecovered(observation, creation, histories)) return [];
      const begun = revocations.filter(({ start }) => start < observation.end);
      if (begun.length === 0) return violation("dead before any revocation");
      const fits = observation.revokedBy === undefined || begun.some(couldBe(observation.revokedBy));
      return fits ? [] : violation("wrong revision blamed", ...begun);
    }
  }
}

/** Whether the recovery may have ended the session before the operation was answered. */
function isRecovered({ end }: Span, { start }: Creation, histories: Histories): boolean {
  return histories.hasBegunRecovery(end) && !histories.hasRecovered(start);
}

/** Checks the receipt for a session that was dead already: it has the revision that ended the session. */
function checkRepeated(
  receipt: Revocation,
  creation: Creation,
  revocations: readonly Revocation[],
  histories: Histories,
): readonly Violation[] {
  if (isRecovered(receipt, creation, histories)) return [];
  const begun = revocations.filter(({ start }) => start < receipt.end);
  const { revision } = receipt;
  if (revision === undefined || begun.some(couldBe(revision))) return [];
  return [{ rule: "wrong revision blamed", operations: [receipt, creation, ...begun] }];
}

/** A revocation with an unknown outcome may have any revision. */
function couldBe(revision: number): (revocation: Revocation) => boolean {
  return (revocation) => revocation.revision === undefined || revocation.revision === revision;
}

function checkCreation(creation: Creation, order: RevisionOrder): readonly Violation[] {
  const before = order.newestReturnedBefore(creation.start);
  const after = order.oldestBegunAfter(creation.end);
  const violations: Violation[] = [];
  if (revisionOf(before) > creation.createdRevision) {
    violations.push({
      rule: "created before a revocation that had returned",
      operations: [creation, ...present(before)],
    });
  }
  if (after !== undefined && revisionOf(after) <= creation.createdRevision) {
    violations.push({ rule: "created after a revocation that had not begun", operations: [creation, after] });
  }
  return violations;
}

function checkUnique(known: readonly Revocation[]): readonly Violation[] {
  return [...Map.groupBy(known, ({ revision }) => revision).values()]
    .filter((same) => same.length > 1)
    .map((operations) => ({ rule: "revision given twice", operations }));
}

/** If one revocation returned before another started, the other has the greater revision. */
function checkOrder(known: readonly Revocation[], order: RevisionOrder): readonly Violation[] {
  return known.flatMap((revocation) => {
    const before = order.newestReturnedBefore(revocation.start);
    if (before === undefined || revisionOf(before) <= revisionOf(revocation)) return [];
    return [{ rule: "revisions against real time" as const, operations: [before, revocation] }];
  });
}

function present<T>(value: T | undefined): readonly T[] {
  return value === undefined ? [] : [value];
}
