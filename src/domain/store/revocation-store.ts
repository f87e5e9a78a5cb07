import type { CallContext } from "../../transport/call-context.ts";
import type { ActingUser, MemberId, ProjectId } from "../ids.ts";
import type { PageRequest } from "../page.ts";
import type { CutoffTarget, RevocationCommand, RevocationReceipt, Scope } from "../revocation.ts";
import type { RecordedRevocation, RevocationLog } from "../revocations/revocation-log.ts";

/** A list of revocations, newest first; every given filter must match. */
export interface RevocationQuery {
  readonly projectId: ProjectId;
  /** Inclusive. */
  readonly startTime: Date | undefined;
  /** Exclusive. */
  readonly endTime: Date | undefined;
  readonly actor: string | undefined;
  readonly scope: Scope | undefined;
  readonly actingUser: ActingUser | undefined;
  /** Only revocations that ended sessions of this member, as {@link RevocationStore.listRevocations} says. */
  readonly memberId: MemberId | undefined;
  /** Only together with `scope`; a UUID for scope "session". */
  readonly targetId: string | undefined;
  /** After a revision. */
  readonly page: PageRequest<string>;
}

/** A page of revocations. It may be short, because the number of rows that a filter looks through is limited. */
export interface RevocationPage {
  readonly revocations: readonly RecordedRevocation[];
  /** The revision after which the next page starts; undefined on the last page. */
  readonly next: number | undefined;
}

/** Revocations: recording, counting and listing them, and the log that feeds read. */
export interface RevocationStore extends RevocationLog {
  /**
   * Records a revocation, and returns once it is durable; undefined if it targets a session or signing key that does not
   * exist. Continues if the client disconnects, which must not leave a session active.
   */
  revoke(command: RevocationCommand, call: CallContext): Promise<RevocationReceipt | undefined>;
  /** Counts the sessions within the target that are active at `now`, without the excepted one. */
  countActive(projectId: ProjectId, target: CutoffTarget, now: Date, call: CallContext): Promise<number>;
  /**
   * Lists the retained revocations of a project. Those that ended sessions of a member are: every revocation of the member;
   * every revocation of a single session of the member; and a revocation of an organization or the project if a retained session
   * of the member names it as its own: it was the first one of the session, active or expired.
   */
  listRevocations(query: RevocationQuery, call: CallContext): Promise<RevocationPage>;
}
