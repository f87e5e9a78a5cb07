import { randomUUID } from "node:crypto";
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify } from "jose";
import type { JWTPayload } from "jose";
import { type ProjectId, type SessionId, parseProjectId } from "./ids.ts";
import { signatureOf } from "./jws-signature.ts";
import { claimsOf, issuerOf, revisionOf, sessionIdOf } from "./jwt-claims.ts";
import type { KeyRing } from "./key-ring.ts";
import { type JwtProfile, jwtProfiles } from "./policy.ts";
import type { Project } from "./project.ts";
import { type Session, idleExpireTimeOf } from "./session.ts";
import { signatureAlgorithms } from "./signature-algorithm.ts";

/** Longest text that is looked at as a session JWT, in characters. */
export const maxJwtLength = 16_384;

/** What is wrong with a JWT, in the order in which it is looked for. */
export type JwtProblem =
  | "form" // not three canonical base64url parts holding JSON, or too long
  | "algorithm" // not on the allow-list, or not the key's
  | "key" // no such key in the project, or a revoked one
  | "signature"
  | "type" // `typ` is not JWT
  | "issuer"
  | "audience"
  | "claims" // a claim is missing or has the wrong form
  | "time" // not valid yet
  | "expired"; // and nothing else is wrong

/** What a JWT says that has been verified. */
export interface VerifiedJwt {
  readonly projectId: ProjectId;
  readonly sessionId: SessionId;
  /** The key that signed it. */
  readonly kid: string;
  readonly profile: JwtProfile;
  /** The session's created revision when it was signed. */
  readonly revision: number | undefined;
  /** In seconds since 1970. */
  readonly issuedAt: number;
  /** In seconds since 1970. */
  readonly expiresAt: number;
}

/** What a JWT says, or what is wrong with it. */
export type JwtVerdict = VerifiedJwt | { readonly problem: JwtProblem };

/** How to verify a JWT. */
export interface VerifyOptions {
  /** The project it must belong to; where undefined, the one its audience names. */
  readonly projectId: ProjectId | undefined;
  readonly now: Date;
  /** Accept one that has expired, if everything else holds. */
  readonly allowExpired: boolean;
}

/** Signs and verifies session JWTs (RFC 7519, JWS compact form). */
export class SessionJwts {
  readonly #keyRing: KeyRing;
  readonly #issuer: string;

  /** `issuer` is the deployment's; a project's JWTs are issued by `<issuer>/<project id>`, but for the stytch profile. */
  constructor(keyRing: KeyRing, issuer: string) {
    this.#keyRing = keyRing;
    this.#issuer = issuer;
  }

  /** A JWT about `session`, good for the policy's jwtLifetime but never beyond the session's own end. */
  async sign(session: Session, project: Project, now: Date): Promise<string> {
    const sign = await this.signer(project);
    return sign(session, now);
  }

  /** What {@link sign} does, its question to the database asked beforehand: while the session is looked for. */
  async signer(project: Project): Promise<(session: Session, now: Date) => Promise<string>> {
    const key = await this.#keyRing.signingKey(project);
    const { jwtLifetime, jwtProfile } = project.policy;
    const issuer = issuerOf(jwtProfile, this.#issuer, project.id);
    return async (session, now) => {
      const ends = [
        now.getTime() + jwtLifetime,
        session.expireTime.getTime(),
        idleExpireTimeOf({ ...session, lastAccessTime: now })?.getTime() ?? Infinity,
      ];
      const issuedAt = Math.floor(now.getTime() / 1000);
      const claims = {
        ...claimsOf(session, jwtProfile),
        iss: issuer,
        aud: [project.id],
        sub: session.memberId,
        iat: issuedAt,
        nbf: issuedAt,
        exp: Math.floor(Math.min(...ends) / 1000),
        jti: randomUUID(),
      };
      const text = `${key.protectedHeader}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
      const signature = await signatureOf(key, text);
      return `${text}.${signature.toString("base64url")}`;
    };
  }

  /** Whatever the project's profile is now: JWTs of the one before are good until they expire. Checks form, algorithm, key, signature, type, issuer, audience and times; not whether the session is good. */
  async verify(jwt: string, options: VerifyOptions): Promise<JwtVerdict> {
    const outline = readOutline(jwt);
    if (outline === undefined) return { problem: "form" };
    const projectId = options.projectId ?? outline.audience;
    if (projectId === undefined) return { problem: "audience" };
    if (!signatureAlgorithms.some((algorithm) => algorithm === outline.algorithm))
      return { problem: "algorithm" };
    const key = await this.#keyRing.verifyingKey(projectId, outline.kid);
    if (key === undefined) return { problem: "key" };
    try {
      const { payload } = await jwtVerify(jwt, key.key, {
        algorithms: [key.algorithm],
        typ: "JWT",
        issuer: jwtProfiles.map((profile) => issuerOf(profile, this.#issuer, projectId)),
        audience: projectId,
        requiredClaims: ["sub", "iat", "exp"],
        currentDate: options.now,
      });
      return this.#verdictOn(payload, projectId, key.kid);
    } catch (error) {
      if (!(error instanceof errors.JWTExpired)) return { problem: problemOf(error) };
      const verdict = this.#verdictOn(error.payload, projectId, key.kid);
      return options.allowExpired || "problem" in verdict ? verdict : { problem: "expired" };
    }
  }

  /**
   * Whether a good JWT of `session` is to be replaced by a fresh one: less than half of its own lifetime is left, or it says
   * what is not so any more: it has another revision than the session, is in another profile than the policy's, or another
   * key signs now.
   */
  async isDue(jwt: VerifiedJwt, session: Session, project: Project, now: Date): Promise<boolean> {
    const { issuedAt, expiresAt } = jwt;
    if (2 * (expiresAt * 1000 - now.getTime()) < (expiresAt - issuedAt) * 1000) return true;
    if (jwt.revision !== session.createdRevision || jwt.profile !== project.policy.jwtProfile) return true;
    return !(await this.#keyRing.isSigningWith(project, jwt.kid));
  }

  #verdictOn(payload: JWTPayload, projectId: ProjectId, kid: string): JwtVerdict {
    const profile = jwtProfiles.find((one) => payload.iss === issuerOf(one, this.#issuer, projectId));
    const sessionId = profile && sessionIdOf(payload, profile);
    const { iat: issuedAt, exp: expiresAt } = payload;
    if (profile === undefined || sessionId === undefined || issuedAt === undefined || expiresAt === undefined)
      return { problem: "claims" };
    const revision = revisionOf(payload, profile);
    return { projectId, sessionId, kid, profile, revision, issuedAt, expiresAt };
  }
}

/** What an unverified JWT says of itself, or undefined when it has not the form of one. */
function readOutline(
  jwt: string,
): { algorithm: string; kid: string; audience: ProjectId | undefined } | undefined {
  if (jwt.length > maxJwtLength) return undefined;
  const parts = jwt.split(".");
  if (parts.length !== 3 || !parts.every(isCanonicalBase64Url)) return undefined;
  try {
    const { alg, kid } = decodeProtectedHeader(jwt);
    const { aud } = decodeJwt(jwt);
    const [audience] = Array.isArray(aud) ? aud : [aud];
    return {
      algorithm: alg ?? "",
      kid: typeof kid === "string" && kid.length <= 128 ? kid.replaceAll("\0", "") : "",
      audience: typeof audience === "string" ? parseProjectId(audience) : undefined,
    };
  } catch {
    return undefined;
  }
}

/** Whether decoding loses nothing: a twin that differs only in bits that lenient decoders drop is another text. */
function isCanonicalBase64Url(part: string): boolean {
  return Buffer.from(part, "base64url").toString("base64url") === part;
}

function problemOf(error: unknown): Exclude<JwtProblem, "expired"> {
  if (error instanceof errors.JWSSignatureVerificationFailed) return "signature";
  if (error instanceof errors.JOSEAlgNotAllowed) return "algorithm";
  if (error instanceof errors.JWTClaimValidationFailed) return problemOfClaim(error.claim);
  if (error instanceof errors.JOSEError) return "form";
  throw error;
}

function problemOfClaim(claim: string): Exclude<JwtProblem, "expired"> {
  switch (claim) {
    case "iss":
      return "issuer";
    case "aud":
      return "audience";
    case "typ":
      return "type";
    case "nbf":
      return "time";
    default:
      return "claims";
  }
}
