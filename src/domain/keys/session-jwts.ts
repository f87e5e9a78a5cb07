import { randomUUID } from "node:crypto";
import { LRUCache } from "lru-cache";
import {
  type JwtProfile,
  type SessionReference,
  checkTimes,
  claimsOf,
  clockToleranceMs,
  issuerOf,
  jwtProfiles,
} from "../../jwt/claims.ts";
import { maxJwtLength, parseCompactJws } from "../../jwt/compact-jws.ts";
import { type KeyWithId, isSignedBy, signatureOf } from "../../jwt/signature.ts";
import { type JwtStatement, jwtCacheKey, readStatement } from "../../jwt/statement.ts";
import type { CallContext } from "../../transport/call-context.ts";
import { type ProjectId, type SessionId, parseProjectId, parseSessionId } from "../ids.ts";
import type { Project } from "../project.ts";
import { type Session, idleExpireTimeFrom } from "../sessions/session.ts";
import type { KeyRing } from "./key-ring.ts";

/** Number of JWTs whose verified signature is cached; about 8 MB. */
const maxVerifiedJwts = 10_000;

/** The first check that a JWT fails. The checks run in this order. */
export type JwtProblem =
  | "form" // not three canonical base64url parts with JSON inside, or too long
  | "algorithm" // not on the allow-list, or not the key's
  | "key" // the project has no such key, or has revoked it
  | "signature"
  | "type" // `typ` is not JWT
  | "issuer"
  | "audience"
  | "claims" // a claim is missing or has the wrong form
  | "time" // not valid yet
  | "expired"; // everything else holds

/** A verified JWT. Times in seconds since 1970. */
export interface VerifiedJwt extends SessionReference {
  readonly sessionId: SessionId;
  readonly projectId: ProjectId;
  readonly kid: string;
  readonly profile: JwtProfile;
}

export type JwtVerdict = VerifiedJwt | { readonly problem: JwtProblem };

export interface VerifyOptions {
  /** The project it must belong to. If undefined, its audience names the project. */
  readonly projectId: ProjectId | undefined;
  readonly now: Date;
  /** Which times are accepted if everything else holds. No clock may make a revocation fail. */
  readonly times:
    | "valid" // within the tolerance
    | "valid or early" // for a caller that revokes: the clock of the signer was ahead
    | "any"; // for a JWT that names the session to revoke
}

interface SignedStatement {
  readonly statement: JwtStatement;
  readonly key: KeyWithId;
}

/** Signs and verifies session JWTs (RFC 7519, JWS compact form). */
export class SessionJwts {
  readonly #keyRing: KeyRing;
  readonly #issuer: string;
  /** Verified signatures. State of the key, claims and times are checked on every call. */
  readonly #verified = new LRUCache<string, SignedStatement>({ max: maxVerifiedJwts });

  /** `issuer` is the issuer of the deployment. The default profile issues as `<issuer>/<project id>`. */
  constructor(keyRing: KeyRing, issuer: string) {
    this.#keyRing = keyRing;
    this.#issuer = issuer;
  }

  /** Signs a JWT about `session` that expires after the policy's JWT lifetime, or with the session if that is earlier. */
  async sign(session: Session, project: Project, now: Date, call: CallContext): Promise<string> {
    const sign = await this.signer(project, call);
    return sign(session, now);
  }

  /** Like sign(), but loads the signing key up front, so that this overlaps with the session look-up. */
  async signer(project: Project, call: CallContext) {
    const key = await this.#keyRing.signingKey(project, call);
    const { jwtLifetime, jwtProfile } = project.policy;
    const issuer = issuerOf(jwtProfile, this.#issuer, project.id);
    return async (session: Session, now: Date) => {
      const ends = [
        now.getTime() + jwtLifetime,
        session.expireTime.getTime(),
        idleExpireTimeFrom(session, now)?.getTime() ?? Infinity,
      ];
      const issuedAt = Math.floor(now.getTime() / 1000);
      const claims = {
        ...claimsOf(session, jwtProfile),
        iss: issuer,
        aud: [project.id],
        sub: session.memberId,
        iat: issuedAt,
        nbf: issuedAt - clockToleranceMs / 1000,
        exp: Math.floor(Math.min(...ends) / 1000),
        jti: randomUUID(),
      };
      const text = `${key.protectedHeader}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
      const signature = await signatureOf(key, text);
      return `${text}.${signature.toString("base64url")}`;
    };
  }

  /**
   * Checks form, algorithm, key, signature, type, issuer, audience, claims and times, but not the state of the session. Accepts
   * every profile, because JWTs of an earlier profile stay valid until they expire.
   */
  async verify(jwt: string, options: VerifyOptions, call: CallContext): Promise<JwtVerdict> {
    if (jwt.length > maxJwtLength) return { problem: "form" };
    const cacheKey = jwtCacheKey(jwt);
    const cached = this.#verified.get(cacheKey);
    const statement = cached?.statement ?? statementOf(jwt);
    if (statement === undefined) return { problem: "form" };
    const projectId = options.projectId ?? parseProjectId(statement.audience[0] ?? "");
    if (projectId === undefined) return { problem: "audience" };
    const { algorithm, kid } = statement;
    if (algorithm === undefined) return { problem: "algorithm" };
    if (kid === undefined) return { problem: "key" };
    const key = await this.#keyRing.verifyingKey(projectId, kid, call);
    if (key === undefined) return { problem: "key" };
    if (key.algorithm !== algorithm) return { problem: "algorithm" };
    if (cached?.key !== key) {
      if (!isSignedBy(key, jwt)) return { problem: "signature" };
      this.#verified.set(cacheKey, { statement, key });
    }
    return this.#checkStatement(statement, projectId, key.kid, options);
  }

  /**
   * Reports whether a valid JWT of `session` should be replaced: less than half of its lifetime is left, or its revision,
   * profile or key is not the current one.
   */
  async isDue(jwt: VerifiedJwt, session: Session, project: Project, now: Date, call: CallContext) {
    const { issuedAt, expiresAt } = jwt;
    if (2 * (expiresAt * 1000 - now.getTime()) < (expiresAt - issuedAt) * 1000) return true;
    if (jwt.revision !== session.createdRevision || jwt.profile !== project.policy.jwtProfile) return true;
    return !(await this.#keyRing.isSigningWith(project, jwt.kid, call));
  }

  #checkStatement(
    { isJwt, issuer, audience, session }: JwtStatement,
    projectId: ProjectId,
    kid: string,
    { now, times: accepted }: VerifyOptions,
  ): JwtVerdict {
    if (!isJwt) return { problem: "type" };
    const profile = jwtProfiles.find((each) => issuer === issuerOf(each, this.#issuer, projectId));
    if (profile === undefined) return { problem: "issuer" };
    if (!audience.includes(projectId)) return { problem: "audience" };
    const reference = session[profile];
    const sessionId = parseSessionId(reference?.sessionId ?? "");
    if (reference === undefined || sessionId === undefined) return { problem: "claims" };
    const times = checkTimes(reference, now.getTime());
    if (times === "early" && accepted === "valid") return { problem: "time" };
    if (times === "expired" && accepted !== "any") return { problem: "expired" };
    return { ...reference, sessionId, projectId, kid, profile };
  }
}

function statementOf(jwt: string): JwtStatement | undefined {
  const jws = parseCompactJws(jwt);
  return jws && readStatement(jws);
}
