import { RevisionOrder, revisionOf } from "./revision-order.ts";
import type { Creation, Look, Operation, Revocation } from "../history.ts";
import { Killers } from "../processes/killers.ts";

/** Something that the service must never do, and where it did. */
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

/** Everything in a history that the promises rule out. Operations may be in any order. */
export function checkHistory(history: readonly Operation[]): readonly Violation[] {
  const revocations = history.filter((operation) => operation.kind === "revocation");
  const effective = revocations.filter((revocation) => revocation.effective);
  const known = effective.filter(({ revision }) => revision !== undefined);
  const order = new RevisionOrder(known);
  const creations = history.filter((operation) => operation.kind === "creation");
  const killers = new Killers(effective, creations);
  const sessions = new Map(creations.map((creation) => [creation.session, creation]));
  return [
    ...history.flatMap((operation) => {
      if (operation.kind === "creation") return checkCreation(operation, order);
      const session = sessionNamed(operation);
      const creation = session === undefined ? undefined : sessions.get(session);
      if (creation === undefined) return [];
      return operation.kind === "look"
        ? checkLook(operation, creation, killers.of(creation))
        : checkRepeated(operation, creation, killers.of(creation));
    }),
    ...checkUnique(known),
    ...checkOrder(known, order),
  ];
}

function sessionNamed(operation: Look | Revocation): string | undefined {
  if (operation.kind === "look") return operation.session;
  return operation.scope === "session" && !operation.effective ? operation.target : undefined;
}

function checkLook(look: Look, creation: Creation, killers: readonly Revocation[]): readonly Violation[] {
  switch (look.saw) {
    case "missing":
      return [{ rule: "acknowledged session is missing", operations: [look, creation] }];
    case "alive": {
      const killer = killers.find(({ end }) => end < look.start);
      return killer === undefined
        ? []
        : [{ rule: "alive after its revocation", operations: [look, killer, creation] }];
    }
    case "dead": {
      const begun = killers.filter(({ start }) => start < look.end);
      if (begun.length === 0) return [{ rule: "dead before any revocation", operations: [look, creation] }];
      const fits = look.blamed === undefined || begun.some(couldBe(look.blamed));
      return fits ? [] : [{ rule: "wrong revision blamed", operations: [look, creation, ...begun] }];
    }
  }
}

/** A receipt of a session that was dead already names the revision that ended it. */
function checkRepeated(
  receipt: Revocation,
  creation: Creation,
  killers: readonly Revocation[],
): readonly Violation[] {
  const begun = killers.filter(({ start }) => start < receipt.end);
  const { revision } = receipt;
  if (revision === undefined || begun.some(couldBe(revision))) return [];
  return [{ rule: "wrong revision blamed", operations: [receipt, creation, ...begun] }];
}

/** One whose outcome is unknown could have any revision. */
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

/** Of two revocations of which one returned before the other began, the later one has the greater revision. */
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
