import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { expect, test } from "vitest";
import { attackTarget } from "./target.ts";

const target = await attackTarget();
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const decode = (part: string | undefined) => JSON.parse(Buffer.from(part ?? "", "base64url").toString());

const own = await target.createSession();
const foreign = await target.createSession({ memberId: "alice" }, target.foreign);
const stranded = await target.createSession({ memberId: "alice" }, await target.createTenant("gone"));
await target.call("ProjectService/DisableProject", { id: "gone" });
const jwks = await target.call("ProjectService/GetJwks", { projectId: "home" });

const whole = "the JWT of another project";
const jwts: Record<string, string> = {
  ...forgeries(own.jwt, foreign.jwt, jwks.json.keys[0]),
  [whole]: foreign.jwt,
  "the JWT of a disabled project": stranded.jwt,
};

test.each(Object.entries(jwts))("rejects %s, as a target and as a credential", async (name, jwt) => {
  const other = await target.createSession();
  const service = target.home.basic;
  const asTarget = [
    [401, await target.call("SessionService/Authenticate", { jwt })],
    [400, await target.call("SessionService/Revoke", { jwt })],
    [400, await post("/v1/sessions/revoke", { authorization: service }, { session_jwt: jwt })],
    [400, await post("/v1/b2b/sessions/revoke", { authorization: service }, { session_jwt: jwt })],
    [
      401,
      await post(
        "/v1/b2b/sessions/revoke",
        { authorization: service, "x-stytch-member-sessionjwt": jwt },
        { member_session_id: other.id },
      ),
    ],
  ] as const;
  const path = `/auth/sessions/${other.id}`;
  const asCredential = [
    await post("/sessions/revoke-all", { authorization: `Bearer ${jwt}` }),
    await post(`/sessions/${other.id}/revoke`, { authorization: `Bearer ${jwt}` }),
    await target.send("DELETE", path, { headers: { authorization: `Bearer ${jwt}` } }),
    await target.send("DELETE", path, { headers: { "x-session-token": jwt } }),
  ].map((answer) => [401, answer] as const);
  // As a credential, a valid JWT of another project makes a valid call in that project.
  for (const [i, [status, answer]] of [...asTarget, ...(name === whole ? [] : asCredential)].entries()) {
    expect([i, answer.status]).toEqual([i, status]);
    expect(answer.text).not.toContain(jwt.slice(0, 200));
  }
  expect(await target.stateOf(own)).toBe("SESSION_STATE_ACTIVE");
  expect(await target.stateOf(other)).toBe("SESSION_STATE_ACTIVE");
});

function post(path: string, headers: Record<string, string>, body: object = {}) {
  return target.send("POST", path, { headers, body });
}

function forgeries(jwt: string, foreignJwt: string, jwk: Record<string, string>): Record<string, string> {
  const [head = "", payload = "", signature = ""] = jwt.split(".");
  const header = decode(head);
  const claims = decode(payload);
  const attacker = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signed = (h: object, p: string | object) => {
    const text = `${encode(h)}.${typeof p === "string" ? p : encode(p)}`;
    const key = { key: attacker.privateKey, dsaEncoding: "ieee-p1363" } as const;
    return `${text}.${sign("sha256", Buffer.from(text), key).toString("base64url")}`;
  };
  const withHeader = (h: object) => `${encode(h)}.${payload}.${signature}`;
  const hmac = `${encode({ ...header, alg: "HS256" })}.${payload}`;
  const publicKey = JSON.stringify(jwk);
  const bytes = Buffer.from(signature, "base64url");
  const [foreignHead = ""] = foreignJwt.split(".");
  return {
    "alg none": `${encode({ ...header, alg: "none" })}.${payload}.`,
    "alg none without a signature part": `${encode({ ...header, alg: "none" })}.${payload}`,
    "alg None": `${encode({ ...header, alg: "None" })}.${payload}.${signature}`,
    "HS256 keyed with the public key": `${hmac}.${createHmac("sha256", publicKey).update(hmac).digest("base64url")}`,
    ES384: withHeader({ ...header, alg: "ES384" }),
    "a foreign kid": withHeader({ ...header, kid: decode(foreignHead).kid }),
    "no kid": withHeader({ alg: "ES256", typ: "JWT" }),
    "a kid that is a path": withHeader({ ...header, kid: "../../../dev/null\0" }),
    "the signature of another key under our kid": signed(header, claims),
    "the signature of a key in the header": signed(
      { alg: "ES256", typ: "JWT", jwk: attacker.publicKey.export({ format: "jwk" }) },
      claims,
    ),
    "a crit header": signed({ ...header, crit: ["exp"] }, claims),
    "an unencoded payload": signed({ ...header, crit: ["b64"], b64: false }, claims),
    "another payload": `${head}.${encode({ ...claims, sub: "mallory" })}.${signature}`,
    "a payload without sid": signed(header, { ...claims, sid: undefined }),
    "a payload that is not JSON": signed(header, Buffer.from("{").toString("base64url")),
    "a signature with other unused bits": `${head}.${payload}.${twin(signature)}`,
    padding: `${head}.${payload}.${signature}==`,
    "a fourth part": `${jwt}.${signature}`,
    "a zeroed signature": `${head}.${payload}.${Buffer.alloc(64).toString("base64url")}`,
    "a DER signature": `${head}.${payload}.${der(bytes)}`,
    "an empty signature": `${head}.${payload}.`,
    "the header and signature of another project's JWT": `${foreignHead}.${payload}.${foreignJwt.split(".")[2]}`,
    "10,000 characters": `${head}.${"A".repeat(9600)}.${signature}`,
    dots: ".".repeat(5000),
  };
}

/** Changes one of the four bits that 64 bytes leave unused in the last character. */
function twin(signature: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = alphabet.indexOf(signature.at(-1) ?? "");
  return signature.slice(0, -1) + alphabet[last ^ 1];
}

function der(raw: Buffer): string {
  const integer = (part: Buffer) => {
    const bytes = (part[0] ?? 0) > 127 ? Buffer.concat([Buffer.from([0]), part]) : part;
    return Buffer.concat([Buffer.from([2, bytes.length]), bytes]);
  };
  const body = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]).toString("base64url");
}
