import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { type Issued, attackTarget } from "./target.ts";

const target = attackTarget();
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const decode = (part: string | undefined) => JSON.parse(Buffer.from(part ?? "", "base64url").toString());

let own: Issued;
let foreign: Issued;
let forged: Record<string, string>;

beforeAll(async () => {
  own = await target.createSession({ memberId: "alice" });
  foreign = await target.createSession({ memberId: "alice" }, target.foreign);
  const jwks = await target.call("ProjectService/GetJwks", { projectId: "home" });
  forged = forgeries(own.jwt, foreign.jwt, jwks.json.keys[0]);
});

const names = [
  "alg none",
  "alg none without a signature part",
  "alg None",
  "HS256 keyed with the public key",
  "ES384",
  "a foreign kid",
  "no kid",
  "a kid that is a path",
  "an attacker's key under our kid",
  "an attacker's key in the header",
  "a crit header",
  "an unencoded payload",
  "another payload",
  "a payload without sid",
  "a payload that is no JSON",
  "a twin of the signature",
  "padding",
  "a fourth part",
  "a zeroed signature",
  "a DER signature",
  "an empty signature",
  "another project's, whole",
  "another project's, renamed",
  "10,000 characters",
  "dots",
] as const;

describe.each(names)("a JWT with %s", (name) => {
  test("is refused by Authenticate, Revoke and everywhere a caller shows one", async () => {
    const jwt = forged[name] ?? "";
    expect(jwt).not.toBe("");
    const other = await target.createSession({ memberId: "alice" });
    const answers = [
      [401, await target.call("SessionService/Authenticate", { jwt })],
      [400, await target.call("SessionService/Revoke", { jwt })],
      [400, await target.send("POST", "/v1/sessions/revoke", as(target.home.basic, { session_jwt: jwt }))],
      [
        400,
        await target.send("POST", "/v1/b2b/sessions/revoke", as(target.home.basic, { session_jwt: jwt })),
      ],
      [401, await target.send("POST", "/sessions/revoke-all", as(`Bearer ${jwt}`))],
      [401, await target.send("POST", `/sessions/${other.id}/revoke`, as(`Bearer ${jwt}`))],
      [401, await target.send("DELETE", `/auth/sessions/${other.id}`, as(`Bearer ${jwt}`))],
      [
        401,
        await target.send("DELETE", `/auth/sessions/${other.id}`, { headers: { "x-session-token": jwt } }),
      ],
      [
        401,
        await target.send("POST", "/v1/b2b/sessions/revoke", {
          headers: { authorization: target.home.basic, "x-stytch-member-sessionjwt": jwt },
          body: { member_session_id: other.id },
        }),
      ],
    ] as const;
    const isWholeForeign = name === "another project's, whole";
    for (const [i, [status, answer]] of answers.entries()) {
      // A stranger's JWT that is good calls for the stranger's project: there is nothing of ours to be found in it.
      if (isWholeForeign && i >= 4 && i <= 7) continue;
      expect([i, answer.status]).toEqual([i, status]);
      expect(answer.text).not.toContain(jwt.slice(0, 200));
    }
    for (const id of [own.id, other.id]) {
      const { json } = await target.call("SessionService/Get", { id });
      expect(json.session.state).toBe("SESSION_STATE_ACTIVE");
    }
  });
});

test("another project's good JWT reaches only what is its own", async () => {
  const { jwt } = await target.createSession({ memberId: "alice" }, target.foreign);
  const unknown = "01900000-0000-7000-8000-000000000000";
  const theirs = await target.send("POST", `/sessions/${own.id}/revoke`, as(`Bearer ${jwt}`));
  const nobodys = await target.send("POST", `/sessions/${unknown}/revoke`, as(`Bearer ${jwt}`));
  expect([theirs.status, theirs.text]).toEqual([nobodys.status, nobodys.text]);
  expect(theirs.status).toBe(404);
  const { json } = await target.call("SessionService/Get", { id: own.id });
  expect(json.session.state).toBe("SESSION_STATE_ACTIVE");
});

function as(authorization: string, body: unknown = {}) {
  return { headers: { authorization }, body };
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
    "an attacker's key under our kid": signed(header, claims),
    "an attacker's key in the header": signed(
      { alg: "ES256", typ: "JWT", jwk: attacker.publicKey.export({ format: "jwk" }) },
      claims,
    ),
    "a crit header": signed({ ...header, crit: ["exp"] }, claims),
    "an unencoded payload": signed({ ...header, crit: ["b64"], b64: false }, claims),
    "another payload": `${head}.${encode({ ...claims, sub: "mallory" })}.${signature}`,
    "a payload without sid": signed(header, { ...claims, sid: undefined }),
    "a payload that is no JSON": signed(header, Buffer.from("{").toString("base64url")),
    "a twin of the signature": `${head}.${payload}.${twin(signature)}`,
    padding: `${head}.${payload}.${signature}==`,
    "a fourth part": `${jwt}.${signature}`,
    "a zeroed signature": `${head}.${payload}.${Buffer.alloc(64).toString("base64url")}`,
    "a DER signature": `${head}.${payload}.${der(bytes)}`,
    "an empty signature": `${head}.${payload}.`,
    "another project's, whole": foreignJwt,
    "another project's, renamed": `${foreignHead}.${payload}.${foreignJwt.split(".")[2]}`,
    "10,000 characters": `${head}.${"A".repeat(9600)}.${signature}`,
    dots: ".".repeat(5000),
  };
}

/** Another text that lenient decoders read as the same bytes: 64 bytes leave four bits of the last character unused. */
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
