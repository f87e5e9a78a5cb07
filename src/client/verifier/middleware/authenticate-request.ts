import type { SessionClaims } from "../jwt/claims.ts";
import { describeRefusal } from "../verdict.ts";
import type { Verifier } from "../verifier.ts";

/** A header of a request, or metadata of a call, by its name in lower case. */
export type HeaderReader = (name: string) => string | undefined;

/** What every edge can be told. */
export interface EdgeOptions {
  /**
   * Where the session JWT is; `authorization: Bearer <jwt>` by default. Undefined where there is none. One that throws has met
   * what is no JWT.
   */
  readonly extract?: (header: HeaderReader) => string | undefined;
}

/** A request that may pass, or the answer that it gets. */
export type Admission =
  | { readonly claims: SessionClaims }
  | {
      readonly claims?: undefined;
      /** 401, or 503 where it cannot be told now. */
      readonly status: 401 | 503;
      /** For the one who called, in words. */
      readonly message: string;
      /** Headers of the answer, their names in lower case. */
      readonly headers: Readonly<Record<string, string>>;
    };

/** Asks the verifier whether a request may pass. Never rejects. */
export async function admit(
  verifier: Pick<Verifier, "verify">,
  { extract = bearer }: EdgeOptions,
  header: HeaderReader,
): Promise<Admission> {
  const jwt = extractedBy(extract, header);
  // RFC 6750, section 3.1: nothing is said of an error where no credential came.
  if (jwt === undefined) {
    return { status: 401, message: "the request carries no session JWT", headers: challenge("Bearer") };
  }
  const verdict = await verifier.verify(jwt);
  if (verdict.ok) return { claims: verdict.claims };
  const message = describeRefusal(verdict);
  return verdict.reason === "stale"
    ? { status: 503, message, headers: { "retry-after": "1" } }
    : {
        status: 401,
        message,
        headers: challenge(`Bearer error="invalid_token", error_description="${message}"`),
      };
}

/** The credential of `authorization: Bearer …` (RFC 6750, section 2.1). */
function bearer(header: HeaderReader): string | undefined {
  return /^Bearer +([^\s]+) *$/i.exec(header("authorization") ?? "")?.[1];
}

/** What is extracted, if anything is; a text that is no JWT where that fails. */
function extractedBy(extract: NonNullable<EdgeOptions["extract"]>, header: HeaderReader): string | undefined {
  try {
    return extract(header);
  } catch {
    return "";
  }
}

function challenge(value: string): Readonly<Record<string, string>> {
  return { "www-authenticate": value };
}
