import { describe, expect, test } from "vitest";
import { basic, cookie, sessionTokenHeader, standardScheme } from "../../../src/auth/request-credentials.ts";
import { hashSecret } from "../../../src/domain/token.ts";

const headers = (init: Record<string, string>): Headers => new Headers(init);
const encode = (text: string): string => Buffer.from(text).toString("base64");

describe("basic", () => {
  test.each(["acme:s3cret", "acme:a", "acme:ab", "acme:with:colon", "acme:ümläut"])("reads %s", (text) => {
    const service = { projectId: "acme", secretHash: hashSecret(text.slice("acme:".length)) };
    expect(basic(headers({ authorization: `Basic ${encode(text)}` }))).toEqual({ service });
  });

  const good = encode("acme:s3cret");
  const padded = encode("acme:ab");
  test.each([
    ["a further character", `${good}x`],
    ["exclamation marks", `${good}!!`],
    ["asterisks", `***${good}`],
    ["a character in the middle", `${good.slice(0, 4)}.${good.slice(4)}`],
    ["a character after the padding", `${padded}x`],
    ["the URL alphabet", encode("acme:~~~???").replace(/[+/]/g, (char) => (char === "+" ? "-" : "_"))],
    ["no padding", padded.replace(/=+$/, "")],
    ["too much padding", `${padded}=`],
    ["bytes that are not UTF-8", Buffer.from("acme:s3\xffcret", "latin1").toString("base64")],
    [
      "bits after the last byte",
      padded.replace(/.(?==+$)/, (char) => String.fromCharCode(char.charCodeAt(0) + 1)),
    ],
  ])("refuses base64 with %s", (_name, credentials) => {
    expect(credentials).not.toBe(good);
    expect(() => basic(headers({ authorization: `Basic ${credentials}` }))).toThrow(
      expect.objectContaining({ reason: "CREDENTIAL_INVALID" }),
    );
  });
});

describe("cookie", () => {
  const token = `sst_${"a".repeat(51)}`;
  const jwt = [{ alg: "ES256", kid: "k", typ: "JWT" }, { sid: "s" }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .concat("c2lnbmF0dXJl")
    .join(".");

  test.each([
    ["a token", `sid=${token}`, { token }],
    ["a JWT", `sid=${jwt}`, { jwt }],
    ["a quoted token", `sid="${token}"`, { token }],
  ])("reads %s", (_name, value, member) => {
    expect(cookie(headers({ cookie: value }), "sid")).toEqual({ member });
  });

  test.each([
    "",
    "sid",
    "sid=",
    'sid=""',
    "sid=  ",
    'sid="  "',
    "sid=garbage",
    "sid=a.b.c",
    `sid=${jwt.slice(1)}`,
    `other=${token}`,
    `sid=; sid=${token}`,
  ])("finds no credential in %j", (value) => {
    expect(cookie(headers({ cookie: value }), "sid")).toBeUndefined();
  });
});

describe("an empty header is no credential", () => {
  const peer = { address: undefined, secure: false } as never;

  test.each(["", "  "])("authorization %j does not hide x-session-token", (authorization) => {
    const header = headers({ authorization, "x-session-token": "t" });
    expect(standardScheme(header, peer)).toEqual({ member: { token: "t" } });
  });

  test.each(["", "  ", "\t"])("x-session-token %j", (text) => {
    expect(sessionTokenHeader(headers({ "x-session-token": text }))).toBeUndefined();
  });

  test("authorization still excludes the certificate, which speaks for all calls of a gateway", () => {
    const certificateNames = ["dns:gateway"];
    const gateway = { address: undefined, secure: true, certificateNames } as never;
    expect(standardScheme(headers({}), gateway)).toEqual({ service: { names: certificateNames } });
    expect(standardScheme(headers({ authorization: "" }), gateway)).toBeUndefined();
  });
});
