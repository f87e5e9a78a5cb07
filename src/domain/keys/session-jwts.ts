import { randomUUID } from "node:crypto";
import type { CallContext } from "../../transport/call-context.ts";
import { parseCompactJws } from "./compact-jws.ts";
import type { ProjectId } from "../ids.ts";
import { isSignedBy, signatureOf } from "./jws-signature.ts";
import { type JwtSession, claimsOf, issuerOf } from "./jwt-claims.ts";
import { type JwtStatement, readStatement } from "./jwt-statement.ts";
import type { KeyRing } from "./key-ring.ts";
import { type JwtProfile, jwtProfiles } from "../policy.ts";
import type { Project } from "../project.ts";
import { type Session, idleExpireTimeOf } from "../sessions/session.ts";
import { VerifiedJwts } from "./verified-jwts.ts";

/** Longest text that is looked at as a session JWT, in characters. */
export const maxJwtLength = 16_384;

/** Most JWTs whose verified signature is remembered: 8 MB. */
const maxVerifiedJwts = 10_000;

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
export interface VerifiedJwt extends JwtSession {
  readonly projectId: ProjectId;
  /** The key that signed it. */
  readonly kid: string;
  readonly profile: JwtProfile;
}

/** What a JWT says, or what is wrong with it. */
export type JwtVerdict =
  | VerifiedJwt
  | {
      readonly problem: JwtProblem;
      /** Whether a key of the project signed it, or it names one that was revoked: it was good once, and is no guess. */
      readonly isGenuine: boolean;
    };

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
  readonly #verified = new VerifiedJwts(maxVerifiedJwts);

  /** `issuer` is the deployment's; a project's JWTs are issued by `<issuer>/<project id>`, but for the stytch profile. */
  constructor(keyRing: KeyRing, issuer: string) {
    this.#keyRing = keyRing;
    this.#issuer = issuer;
  }

  /** A JWT about `session`, good for the policy's jwtLifetime but never beyond the session's own end. */
  async sign(session: Session, project: Project, now: Date, call: CallContext): Promise<string> {
    const sign = await this.signer(project, call);
    return sign(session, now);
  }

  /** What {@link sign} does, its question to the database asked beforehand: while the session is looked for. */
  async signer(
    project: Project,
    call: CallContext,
  ): Promise<(session: Session, now: Date) => Promise<string>> {
    const key = await this.#keyRing.signingKey(project, call);
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

  /**
   * Whatever the project's profile is now: JWTs of the one before are good until they expire. Checks form, algorithm, key,
   * signature, type, issuer, audience, claims and times; not whether the session is good. Only the form and the signature of a
   * JWT that was seen before are not checked again: they cannot change.
   */
  async verify(jwt: string, options: VerifyOptions, call: CallContext): Promise<JwtVerdict> {
    if (jwt.length > maxJwtLength) return foreign("form");
    const cacheKey = VerifiedJwts.keyOf(jwt);
    const known = this.#verified.get(cacheKey);
    const statement = known?.statement ?? statementOf(jwt);
    if (statement === undefined) return foreign("form");
    const projectId = options.projectId ?? statement.projectId;
    if (projectId === undefined) return foreign("audience");
    const { algorithm, kid } = statement;
    if (algorithm === undefined) return foreign("algorithm");
    if (kid === undefined) return foreign("key");
    const key = await this.#keyRing.verifyingKey(projectId, kid, call);
    if (key === undefined) return { problem: "key", isGenuine: this.#keyRing.hasSeen(projectId, kid) };
    if (key.algorithm !== algorithm) return foreign("algorithm");
    if (known?.key !== key) {
      if (!isSignedBy(key, jwt)) return foreign("signature");
      this.#verified.set(cacheKey, { statement, key });
    }
    return this.#verdictOn(statement, projectId, key.kid, options);
  }

  /**
   * Whether a good JWT of `session` is to be replaced by a fresh one: less than half of its own lifetime is left, or it says
   * what is not so any more: it has another revision than the session, is in another profile than the policy's, or another
   * key signs now.
   */
  async isDue(
    jwt: VerifiedJwt,
    session: Session,
    project: Project,
    now: Date,
    call: CallContext,
  ): Promise<boolean> {
    const { issuedAt, expiresAt } = jwt;
    if (2 * (expiresAt * 1000 - now.getTime()) < (expiresAt - issuedAt) * 1000) return true;
    if (jwt.revision !== session.createdRevision || jwt.profile !== project.policy.jwtProfile) return true;
    return !(await this.#keyRing.isSigningWith(project, jwt.kid, call));
  }

  #verdictOn(
    { isJwt, issuer, audience, session }: JwtStatement,
    projectId: ProjectId,
    kid: string,
    { now, allowExpired }: VerifyOptions,
  ): JwtVerdict {
    if (!isJwt) return genuine("type");
    const profile = jwtProfiles.find((one) => issuer === issuerOf(one, this.#issuer, projectId));
    if (profile === undefined) return genuine("issuer");
    if (!audience.includes(projectId)) return genuine("audience");
    const claims = session[profile];
    if (claims === undefined) return genuine("claims");
    const second = Math.floor(now.getTime() / 1000);
    if (claims.notBefore > second) return genuine("time");
    if (claims.expiresAt <= second && !allowExpired) return genuine("expired");
    return { ...claims, projectId, kid, profile };
  }
}

function foreign(problem: JwtProblem): JwtVerdict {
  return { problem, isGenuine: false };
}

function genuine(problem: JwtProblem): JwtVerdict {
  return { problem, isGenuine: true };
}

function statementOf(jwt: string): JwtStatement | undefined {
  const jws = parseCompactJws(jwt);
  return jws && readStatement(jws);
}
