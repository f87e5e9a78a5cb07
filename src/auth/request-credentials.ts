import type { CertificateName } from "../domain/certificate-name.ts";
import { SessiondError } from "../domain/errors.ts";
import { type ProjectId, parseProjectId } from "../domain/ids.ts";
import { type SecretHash, hashSecret, looksLikeJwt, parseSessionToken } from "../domain/token.ts";
import { maxJwtLength, parseCompactJws } from "../jwt/compact-jws.ts";
import type { SessionCredential } from "../domain/use-cases/authenticate.ts";

/** The other end of a connection. */
export interface Peer {
  /** Whether TLS ends in this process. Then no proxy has read the request, and its own origin is https. */
  readonly secure: boolean;
  /** Names in the verified client certificate; undefined without one. */
  readonly certificateNames: readonly CertificateName[] | undefined;
  /** Address of the connection: a proxy's if there is one. */
  readonly address: string | undefined;
}

/** A peer about which nothing is known. */
export const unknownPeer: Peer = { secure: false, certificateNames: undefined, address: undefined };

/** The credentials of a request, not checked yet. */
export interface RequestCredentials {
  readonly service?: ServiceSecret | ServiceCertificate | undefined;
  /** An end user's session; with a service's credential, the member whose permissions apply. */
  readonly member?: SessionCredential | undefined;
}

/** The secret of a service, hashed as soon as it is read. */
export interface ServiceSecret {
  readonly projectId: ProjectId;
  readonly secretHash: SecretHash;
}

/** The names in a verified client certificate. */
export interface ServiceCertificate {
  readonly names: readonly CertificateName[];
}

/**
 * Reads the credentials of a request from its headers and connection; undefined without any. Malformed ones are
 * CREDENTIAL_INVALID, or SESSION_UNKNOWN if they are an end user's.
 */
export type CredentialScheme = (header: Headers, peer: Peer) => RequestCredentials | undefined;

/**
 * The scheme of sessiond's own API: `authorization: Basic` for services, `authorization: Bearer` or `x-session-token` for end
 * users, and otherwise the client certificate.
 */
export const standardScheme: CredentialScheme = (header, peer) =>
  basic(header) ?? bearer(header) ?? sessionTokenHeader(header) ?? certificate(header, peer);

/** The scheme of APIs for services only: HTTP Basic, or the client certificate. */
export const serviceScheme: CredentialScheme = (header, peer) => basic(header) ?? certificate(header, peer);

/** HTTP Basic with `project_id:secret` (RFC 7617). */
export function basic(header: Headers): RequestCredentials | undefined {
  const encoded = authorization(header, "basic");
  if (encoded === undefined) return undefined;
  const decoded = Buffer.from(encoded, "base64");
  const text = decoded.toString();
  const [, id = "", secret] = /^([^:]*):(.*)$/s.exec(text) ?? [];
  const projectId = parseProjectId(id);
  // Buffer skips characters outside base64, which must be refused (RFC 4648, 3.3), and replaces bytes that are not UTF-8.
  const isExact = decoded.toString("base64") === encoded && Buffer.from(text).equals(decoded);
  if (!isExact || projectId === undefined || secret === undefined || secret === "") {
    throw new SessiondError("CREDENTIAL_INVALID");
  }
  return { service: { projectId, secretHash: hashSecret(secret) } };
}

/**
 * The client certificate, for a request without `authorization`. A header is specific to the request, while a gateway's
 * certificate applies to the requests of all its end users.
 */
function certificate(header: Headers, { certificateNames = [] }: Peer): RequestCredentials | undefined {
  if (certificateNames.length === 0 || header.has("authorization")) return undefined;
  return { service: { names: certificateNames } };
}

/** `authorization: Bearer` with a session token or session JWT (RFC 6750). */
export function bearer(header: Headers): RequestCredentials | undefined {
  const text = authorization(header, "bearer");
  return text === undefined ? undefined : { member: sessionCredential(text) };
}

/** `x-session-token` with a session token or session JWT. */
export function sessionTokenHeader(header: Headers): RequestCredentials | undefined {
  const text = header.get("x-session-token");
  return text === null || text === "" ? undefined : { member: sessionCredential(text) };
}

/**
 * A cookie with a session token or session JWT (RFC 6265); the first one with the name. An empty or garbled one is no credential,
 * so that it does not hide another credential.
 */
export function cookie(header: Headers, name: string): RequestCredentials | undefined {
  for (const pair of header.get("cookie")?.split(/; */) ?? []) {
    const separator = pair.indexOf("=");
    if (separator < 0 || pair.slice(0, separator).trim() !== name) continue;
    const value = pair
      .slice(separator + 1)
      .trim()
      .replace(/^"(.*)"$/, "$1");
    return isWellFormed(value) ? { member: sessionCredential(value) } : undefined;
  }
  return undefined;
}

function isWellFormed(text: string): boolean {
  if (text.length > maxJwtLength) return false;
  return (looksLikeJwt(text) ? parseCompactJws(text) : parseSessionToken(text)) !== undefined;
}

/** A session token or session JWT, distinguished by its form. */
export function sessionCredential(text: string): SessionCredential {
  if (text.length > maxJwtLength) throw new SessiondError("SESSION_UNKNOWN");
  return looksLikeJwt(text) ? { jwt: text } : { token: text };
}

/** The credentials of an `authorization` header with this scheme. Other schemes are malformed, except basic and bearer. */
function authorization(header: Headers, scheme: "basic" | "bearer"): string | undefined {
  const value = header.get("authorization") ?? "";
  if (value === "") return undefined;
  const [, name = "", credentials = ""] = /^(basic|bearer) +([^ ,]+) *$/i.exec(value) ?? [];
  if (name === "") throw new SessiondError("CREDENTIAL_INVALID");
  return name.toLowerCase() === scheme ? credentials : undefined;
}
