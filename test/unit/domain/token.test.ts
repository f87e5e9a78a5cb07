import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  type ProjectTag,
  hashSecret,
  looksLikeJwt,
  maxTokenLength,
  newProjectTag,
  newServiceSecret,
  newSessionToken,
  newTokenSalt,
  parseSessionToken,
  successorOf,
} from "../../../src/domain/token.ts";

test("a token parses to its project's tag and its own SHA-256", () => {
  for (let i = 0; i < 200; i++) {
    const tag = newProjectTag();
    const token = newSessionToken(tag);
    expect(token).toMatch(/^sst_[\w-]{51}$/);
    const hash = createHash("sha256").update(token).digest();
    expect(parseSessionToken(token)).toEqual({ tag, hash });
    expect(looksLikeJwt(token)).toBe(false);
  }
});

test("rejects a token of another project if one is given", () => {
  const tag = newProjectTag();
  const token = newSessionToken(tag);
  expect(parseSessionToken(token, tag)).toEqual(parseSessionToken(token));
  expect(parseSessionToken(token, newProjectTag())).toBeUndefined();
});

test("tokens, tags and secrets are unique", () => {
  const tag = newProjectTag();
  const made = Array.from({ length: 500 }, () => [newSessionToken(tag), newProjectTag(), newServiceSecret()]);
  expect(new Set(made.flat()).size).toBe(1500);
});

test("a service secret is not a session token", () => {
  const secret = newServiceSecret();
  expect(secret).toMatch(/^ssk_[\w-]{43}$/);
  expect(parseSessionToken(secret)).toBeUndefined();
  expect(hashSecret(secret)).toHaveLength(32);
});

test("hashes the UTF-8 of a secret with SHA-256 (FIPS 180)", () => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  expect(hashSecret("abc").toString("hex")).toBe(abc);
  const property = fc.property(fc.string({ unit: "binary" }), (secret) => {
    expect(hashSecret(secret)).toEqual(createHash("sha256").update(secret, "utf8").digest());
  });
  fc.assert(property);
});

test("a changed token is invalid or another token", () => {
  const token = newSessionToken("AAAA-_zz" as ProjectTag);
  const edits = fc.record({
    place: fc.nat(token.length),
    removed: fc.nat(2),
    inserted: fc.string({ unit: "binary", maxLength: 2 }),
  });
  const property = fc.property(edits, ({ place, removed, inserted }) => {
    const edited = token.slice(0, place) + inserted + token.slice(place + removed);
    const parsed = parseSessionToken(edited);
    if (edited === token) return;
    expect(parsed?.hash.equals(hashSecret(token)) ?? false).toBe(false);
    expect(parsed === undefined || /^sst_[A-Za-z0-9_-]{51}$/.test(edited)).toBe(true);
  });
  fc.assert(property, { numRuns: 500 });
});

test.for([
  "",
  "sst_",
  `${newSessionToken(newProjectTag())}\n`,
  ` ${newSessionToken(newProjectTag())}`,
  newSessionToken(newProjectTag()).replace("sst_", "SST_"),
  newSessionToken(newProjectTag()).repeat(2),
  `sst_${"ä".repeat(51)}`,
  "sst_".padEnd(maxTokenLength, "a"),
  "s".repeat(10_000),
  "sst_".padEnd(10_000, "a"),
])("rejects text without the form of a token (%#)", (text) => {
  expect(parseSessionToken(text)).toBeUndefined();
});

test("a successor is a token of the same project, the same for the same token and salt, and for no other", () => {
  const tag = newProjectTag();
  const [token, salt] = [newSessionToken(tag), newTokenSalt()];
  const successor = successorOf(token, salt);
  expect(parseSessionToken(successor)?.tag).toBe(tag);
  expect(successorOf(token, salt)).toBe(successor);
  const others = [successorOf(token, newTokenSalt()), successorOf(newSessionToken(tag), salt), token];
  expect(new Set([successor, ...others]).size).toBe(4);
});
