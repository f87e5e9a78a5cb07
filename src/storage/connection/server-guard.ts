/** Decides whether answers of the connected server may be used. */
export interface ServerGuard {
  /**
   * Called with the timeline of every answer to a read; undefined if the database has no timelines. Returns "repeat" if the
   * statement must run again. Throws a DatabaseFailure if the answer must not be used.
   */
  admit(timeline: number | undefined): "use" | "repeat";
}

/** Accepts every server that is not a standby. */
export const anyPrimary: ServerGuard = { admit: () => "use" };
