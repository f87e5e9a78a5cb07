import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { parseCompactJws } from "../../../../src/domain/keys/compact-jws.ts";
import { readStatement } from "../../../../src/domain/keys/jwt-statement.ts";
import { VerifiedJwts } from "../../../../src/domain/keys/verified-jwts.ts";
import { must } from "../../../support/fixtures/stored.ts";

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const secret = "a claim of the application";
const jwt = `${encode({ alg: "ES256", kid: "k", typ: "JWT" })}.${encode({ iss: "i", aud: ["p"], plan: secret })}.AAAA`;
const { publicKey } = generateKeyPairSync("ed25519");
const key = { kid: "k", algorithm: "EdDSA", key: publicKey } as const;
const known = { statement: readStatement(must(parseCompactJws(jwt))), key };

test("remembers no more than it may, those used last", () => {
  const jwts = new VerifiedJwts(3);
  for (const name of ["a", "b", "c"]) jwts.set(name, known);
  expect(jwts.get("a")).toBe(known);
  for (const name of ["d", "e"]) jwts.set(name, known);
  expect(["a", "b", "c", "d", "e"].filter((name) => jwts.get(name) !== undefined)).toEqual(["a", "d", "e"]);
});

test("keeps nothing of the text, and of what it says only what is heeded", () => {
  expect(VerifiedJwts.keyOf(jwt)).toHaveLength(44);
  expect(VerifiedJwts.keyOf(`${jwt}A`)).not.toBe(VerifiedJwts.keyOf(jwt));
  expect(JSON.stringify(known.statement)).toContain('"issuer":"i"');
  expect(JSON.stringify(known.statement)).not.toContain(secret);
});
