import { type Creation, type Revocation, reaches } from "../history.ts";

/** The revocations that reach a session: found by scope and target, lest every session looks at all of them. */
export class Killers {
  readonly #byTarget: ReadonlyMap<string, readonly Revocation[]>;
  readonly #known = new Map<string, readonly Revocation[]>();

  constructor(revocations: readonly Revocation[], creations: readonly Creation[]) {
    this.#byTarget = Map.groupBy(revocations, ({ scope, target }) => `${scope}/${target}`);
    for (const creation of creations) this.#known.set(creation.session, this.#find(creation));
  }

  of(creation: Creation): readonly Revocation[] {
    return this.#known.get(creation.session) ?? [];
  }

  #find(creation: Creation): readonly Revocation[] {
    const { session, member, organization } = creation;
    const keys = [`session/${session}`, `member/${member}`, `organization/${organization}`, "project/"];
    return keys
      .flatMap((key) => this.#byTarget.get(key) ?? [])
      .filter((revocation) => reaches(revocation, creation) && mayKill(revocation, creation));
  }
}

/** A cutoff ends only what was created before; one that returned before the creation began is harmless. */
function mayKill(revocation: Revocation, creation: Creation): boolean {
  if (revocation.end < creation.start) return false;
  return revocation.revision === undefined || revocation.revision > creation.createdRevision;
}
