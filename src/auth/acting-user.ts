import { SessiondError } from "../domain/errors.ts";
import { maxOpaqueIdLength, parseActingUser } from "../domain/ids.ts";
import type { Identity } from "./identify.ts";

/** The header, or metadata of gRPC, in which a service states for whom it acts. */
export const actingUserHeader = "acting-user";

/** What is accepted as the name of an acting user. */
export const actingUserForm = `must have 1 to ${maxOpaqueIdLength} characters, without control characters`;

/**
 * Printable ASCII, which percent encoding leaves or makes. Without comma: Node joins the values of a repeated header by commas.
 */
const encodedForm = /^[ -+\x2d-~]*$/;

/** Adds to an identity the acting user that the headers state. FIELD_INVALID if it is malformed, or if an end user states one. */
export function withActingUser(identity: Identity, header: Headers): Identity {
  const encoded = header.get(actingUserHeader);
  if (encoded === null) return identity;
  const { caller } = identity;
  if (caller.kind !== "service") {
    throw invalid("is for services that act without a member's session; end users act for themselves");
  }
  const service = { ...caller, actingUser: readActingUser(encoded) };
  return { service, caller: service };
}

/** Decodes the value of the header. */
export function readActingUser(encoded: string) {
  const text = encodedForm.test(encoded) ? decoded(encoded) : undefined;
  if (text === undefined) {
    throw invalid("must be sent once, as percent-encoded UTF-8, with a comma as %2C and % as %25");
  }
  const actingUser = parseActingUser(text);
  if (actingUser === undefined) throw invalid(actingUserForm);
  return actingUser;
}

/** Undefined if an escape is malformed or the bytes are not UTF-8. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function invalid(description: string): SessiondError {
  return new SessiondError("FIELD_INVALID", { violations: [{ field: actingUserHeader, description }] });
}
