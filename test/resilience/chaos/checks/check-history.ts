import { RevisionOrder, RevocationIndex, revisionOf } from "./revocation-index.ts";
import type { Creation, Observation, Operation, Revocation } from "../history.ts";

/** A broken rule, with the operations that show it. */
export interface Violation {
  readonly rule:
    | "alive after its revocation"
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
  const revocations = history.filter((operation) => operation.kind === "revocation");
  const effective = revocations.filter((revocation) => revocation.effective);
  const known = effective.filter(({ revision }) => revision !== undefined);
  const order = new RevisionOrder(known);
  const creations = history.filter((operation) => operation.kind === "creation");
  const index = new RevocationIndex(effective, creations);
  const sessions = new Map(creations.map((creation) => [creation.session, creation]));
  return [
    ...history.flatMap((operation) => {
      if (operation.kind === "creation") return checkCreation(operation, order);
      const session = sessionNamed(operation);
      const creation = session === undefined ? undefined : sessions.get(session);
      if (creation === undefined) return [];
      return operation.kind === "observation"
        ? checkObservation(operation, creation, index.of(creation))
        : checkRepeated(operation, creation, index.of(creation));
    }),
    ...checkUnique(known),
    ...checkOrder(known, order),
  ];
}

function sessionNamed(operation: Observation | Revocation): string | undefined {
  if (operation.kind === "observation") return operation.session;
  return operation.scope === "session" && !operation.effective ? operation.target : undefined;
}

function checkObservation(
  observation: Observation,
  creation: Creation,
  revocations: readonly Revocation[],
): readonly Violation[] {
  switch (observation.saw) {
    case "missing":
      return [{ rule: "acknowledged session is missing", operations: [observation, creation] }];
    case "alive": {
      const revocation = revocations.find(({ end }) => end < observation.start);
      return revocation === undefined
        ? []
        : [{ rule: "alive after its revocation", operations: [observation, revocation, creation] }];
    }
    case "dead": {
      const begun = revocations.filter(({ start }) => start < observation.end);
      if (begun.length === 0) {
        return [{ rule: "dead before any revocation", operations: [observation, creation] }];
      }
      const fits = observation.revokedBy === undefined || begun.some(couldBe(observation.revokedBy));
      return fits ? [] : [{ rule: "wrong revision blamed", operations: [observation, creation, ...begun] }];
    }
  }
}

/** Checks the receipt for a session that was dead already: it has the revision that ended the session. */
function checkRepeated(
  receipt: Revocation,
  creation: Creation,
  revocations: readonly Revocation[],
): readonly Violation[] {
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
