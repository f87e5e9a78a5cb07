import { parseMemberId, parseSessionId } from "../../domain/ids.ts";
import type { RevokeTarget } from "../../domain/use-cases/revoke.ts";
import { ArgumentError } from "./errors.ts";

/** The documented arguments; the name of `id` is `session_id` or `member_session_id`. */
export interface GivenTargets {
  readonly id: readonly [name: string, value: string | undefined];
  readonly token: string | undefined;
  readonly jwt: string | undefined;
  /** Absent if the API has no such argument. */
  readonly member?: { readonly id: string | undefined };
}

/** Reads the only target. Throws the documented errors for no or several targets and for a malformed id. */
export function readStytchTarget({ id: [idName, id], token, jwt, member }: GivenTargets): RevokeTarget {
  const named = [
    [idName, id],
    ["session_token", token],
    ["session_jwt", jwt],
    ...(member === undefined ? [] : [["member_id", member.id] as const]),
  ] as const;
  const given = named.filter(([, value]) => value !== undefined).map(([name]) => name);
  if (given.length > 1) {
    const message = `Exactly one argument is allowed, but ${given.join(" and ")} were given.`;
    throw new ArgumentError("too_many_session_revoke_arguments", message);
  }
  if (id !== undefined) {
    const sessionId = parseSessionId(id);
    if (sessionId !== undefined) return { id: sessionId };
    throw new ArgumentError("invalid_session_id", `${idName} format is invalid.`);
  }
  if (token !== undefined) return { token };
  if (jwt !== undefined) return { jwt };
  if (member?.id !== undefined) {
    const memberId = parseMemberId(member.id);
    if (memberId === undefined) throw new ArgumentError("invalid_member_id", "member_id format is invalid.");
    return { memberId };
  }
  const names = named.map(([name]) => name).join(", ");
  throw new ArgumentError("no_session_revoke_arguments", `Exactly one of ${names} is required.`);
}
