import { createHmac, hash, randomBytes } from "node:crypto";

declare const brand: unique symbol;
/** SHA-256 of a secret: all that is ever stored of it. */
export type SecretHash = Buffer & { readonly [brand]: "SecretHash" };

/** What a token's successor is derived with, beside the token itself: 256 random bits, stored. */
export type TokenSalt = Buffer;

/**
 * Says in eight characters to which project a session token belongs, so that an end user's bare token is looked up in one
 * project's rows like everything else. Random, unique and no secret.
 */
export type ProjectTag = string & { readonly [brand]: "ProjectTag" };

/** A session token as presented: where to look and what for. */
export interface TokenRef {
  readonly tag: ProjectTag;
  readonly hash: SecretHash;
}

const tokenPattern = /^sst_([A-Za-z0-9_-]{8})[A-Za-z0-9_-]{43}$/;

/** Longest text that is looked at as a session token, in characters; the tokens made here have 55. */
export const maxTokenLength = 512;

/** A new tag for a new project. */
export function newProjectTag(): ProjectTag {
  return randomBytes(6).toString("base64url") as ProjectTag;
}

/** A new session token: `sst_`, the project's tag, and 256 random bits in base64url. */
export function newSessionToken(tag: ProjectTag): string {
  return `sst_${tag}${randomBytes(32).toString("base64url")}`;
}

/** A new salt for {@link successorOf}. */
export function newTokenSalt(): TokenSalt {
  return randomBytes(32);
}

/**
 * The session token that replaces `token`. Whoever presents the old one in time gets the same new one, though neither is stored:
 * it takes the token, which only its holder knows, and the salt, which only the database does.
 */
export function successorOf(token: string, salt: TokenSalt): string {
  const tag = tokenPattern.exec(token)?.[1] ?? "";
  return `sst_${tag}${createHmac("sha256", token).update(salt).digest("base64url")}`;
}

/** A new secret of a service credential: `ssk_` and 256 random bits in base64url. */
export function newServiceSecret(): string {
  return `ssk_${randomBytes(32).toString("base64url")}`;
}

/**
 * Where to look for a session token. Undefined when `text` has not the form of one and so names no session; and where only those of
 * one project count, when it is another's: that is told by its form, and nothing of that project is looked at.
 */
export function parseSessionToken(text: string, within?: ProjectTag): TokenRef | undefined {
  const tag = tokenPattern.exec(text)?.[1];
  if (tag === undefined || (within !== undefined && tag !== within)) return undefined;
  return { tag: tag as ProjectTag, hash: hashSecret(text) };
}

/** Whether `text` has the form of a compact JWS rather than of a session token. */
export function looksLikeJwt(text: string): boolean {
  return text.includes(".");
}

/** SHA-256 of a secret. The secrets made here have 256 random bits, so no salt and no stretching is needed. */
export function hashSecret(secret: string): SecretHash {
  // By way of hex, as node:crypto takes a microsecond to make a Buffer, and a quarter of one to make a string.
  return Buffer.from(hash("sha256", secret, "hex"), "hex") as SecretHash;
}
