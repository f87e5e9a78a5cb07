import { project } from "../sessiond.ts";
import type { StoredSessions } from "./sessions.ts";
import { beyond } from "./stored-project.ts";

/** Members whose sessions are listed, and how many they have. */
export const listed = { few: 30, many: 30_000 } as const;

/** Projects whose sessions are ended all at once: one has many, of one member and one organization, the other has one. */
export const ended = { many: "crowd", one: "lonely" } as const;

/** The sessions of both kinds. */
export function crowds(count: number): readonly StoredSessions[] {
  const common = { organization: "'crowd'", lastAccess: "now()" };
  const listedSessions = Object.values(listed).map((count, i) => ({
    ...common,
    projectId: project.id,
    first: beyond + i * listed.many,
    count,
    member: `'listed-${count}'`,
  }));
  const endedSessions = [
    { ...common, projectId: ended.many, first: 2 * beyond, count, member: "'crowd'" },
    { ...common, projectId: ended.one, first: 3 * beyond, count: 1, member: "'crowd'" },
  ];
  return [...listedSessions, ...endedSessions];
}
